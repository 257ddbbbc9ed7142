package ota

import (
	"fmt"
)

// randomTasks gives the agents of every fourth random plan up to three tasks. It draws from the choices made already, so that
// the schedules of the other plans stay what they are.
func randomTasks(s *Spec, behave map[string]int) map[string]int {
	sum := 0
	for _, b := range behave {
		sum += b
	}
	if sum%4 != 0 {
		return nil
	}
	tasks := map[string]int{}
	agents := s.Agents
	s.Agents = func(yield func(Agent, error) bool) {
		for a, err := range agents {
			tasks[a.ID] = (behave[a.ID] + len(tasks)) % 4
			a.Tasks = componentTasks(tasks[a.ID])
			if !yield(a, err) {
				return
			}
		}
	}
	return tasks
}

// componentTasks are tasks for that many components, each with versions of its own but the first, which has the plan's.
func componentTasks(n int) []TaskSpec {
	var tasks []TaskSpec
	for i := range n {
		t := TaskSpec{Component: Component{Name: fmt.Sprint("c", i), Instance: fmt.Sprint("i", i)}}
		if i > 0 {
			t.FromVersion, t.ToVersion = componentVersions(t.Component.Name)
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// componentVersions are what componentTasks brings a component from and to.
func componentVersions(name string) (from, to string) {
	switch name {
	case "", "c0":
		return "1", "2"
	default:
		return "1." + name[1:], "2." + name[1:]
	}
}

func (a *AgentSpec) component(i int) Component {
	if len(a.Tasks) == 0 {
		return Component{}
	}
	return a.Tasks[i].Component
}

// taskNamed is which task of an agent of the first plan is about a component.
func (w *world) taskNamed(agent, name string) int {
	for i := range w.tasks[agent] {
		if name == fmt.Sprint("c", i) {
			return i
		}
	}
	return 0
}

// behaviour is how a component of an agent behaves: one of them as its agent does, the others well.
func (w *world) behaviour(agent, name string) int {
	if n := w.tasks[agent]; n > 1 && !w.every && w.taskNamed(agent, name) != int(agent[len(agent)-1])%n {
		return 15
	}
	return w.behave[agent]
}
