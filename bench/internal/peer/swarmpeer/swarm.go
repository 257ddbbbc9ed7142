// Package swarmpeer runs SwarmKit's updater, with which Docker Swarm updates a service, on its
// store in memory. Its agent does nothing: it reports each task's desired state as reached.
package swarmpeer

import (
	"context"
	"errors"
	"fmt"
	"time"

	gogotypes "github.com/gogo/protobuf/types"
	"github.com/moby/swarmkit/v2/api"
	"github.com/moby/swarmkit/v2/manager/orchestrator"
	"github.com/moby/swarmkit/v2/manager/orchestrator/restart"
	"github.com/moby/swarmkit/v2/manager/orchestrator/update"
	"github.com/moby/swarmkit/v2/manager/state"
	"github.com/moby/swarmkit/v2/manager/state/store"
)

// Service is a service that runs in an old version.
type Service struct {
	store   *store.MemoryStore
	cluster *api.Cluster
	service *api.Service
	tasks   int
	stop    func()
	agent   chan error
}

// New makes a service with the given number of tasks, all running.
func New(tasks, parallelism int) (*Service, error) {
	s := &Service{
		store: store.NewMemoryStore(nil), tasks: tasks, agent: make(chan error, 1),
		cluster: &api.Cluster{Spec: api.ClusterSpec{Annotations: api.Annotations{Name: store.DefaultClusterName}}},
		service: &api.Service{ID: "service", Spec: spec("v:1", tasks, parallelism)},
	}
	err := s.store.Update(func(tx store.Tx) error {
		return errors.Join(store.CreateCluster(tx, s.cluster), store.CreateService(tx, s.service))
	})
	if err != nil {
		return nil, err
	}
	err = s.store.Batch(func(batch *store.Batch) error {
		for i := range tasks {
			t := orchestrator.NewTask(s.cluster, s.service, uint64(i+1), "")
			t.Status.State, t.DesiredState = api.TaskStateRunning, api.TaskStateRunning
			if err := batch.Update(func(tx store.Tx) error { return store.CreateTask(tx, t) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.obey()
	return s, nil
}

func spec(image string, tasks, parallelism int) api.ServiceSpec {
	return api.ServiceSpec{
		Annotations: api.Annotations{Name: "service"},
		Mode:        &api.ServiceSpec_Replicated{Replicated: &api.ReplicatedService{Replicas: uint64(tasks)}},
		Task:        api.TaskSpec{Runtime: &api.TaskSpec_Container{Container: &api.ContainerSpec{Image: image}}},
		Update: &api.UpdateConfig{
			Parallelism: uint64(parallelism),
			Monitor:     gogotypes.DurationProto(time.Millisecond), // monitoring continues for this long after the last task
		},
	}
}

// obey starts the agent.
func (s *Service) obey() {
	events, cancel := state.Watch(s.store.WatchQueue(), api.EventUpdateTask{}, api.EventCreateTask{})
	ctx, stop := context.WithCancel(context.Background())
	s.stop = func() { stop(); cancel() }
	go func() {
		for {
			select {
			case <-ctx.Done():
				s.agent <- nil
				return
			case e := <-events:
				if err := s.become(e); err != nil {
					s.agent <- err
					return
				}
			}
		}
	}()
}

// become sets the state of an event's task to its desired state.
func (s *Service) become(event any) error {
	var task *api.Task
	switch e := event.(type) {
	case api.EventUpdateTask:
		task = e.Task
	case api.EventCreateTask:
		task = e.Task
	default:
		return fmt.Errorf("an event of type %T", event)
	}
	if task.Status.State == task.DesiredState {
		return nil
	}
	return s.store.Update(func(tx store.Tx) error {
		task := store.GetTask(tx, task.ID)
		if task == nil {
			return nil
		}
		task.Status.State = task.DesiredState
		return store.UpdateTask(tx, task)
	})
}

// Run updates every task to a new version.
func (s *Service) Run(ctx context.Context) error {
	var slots []orchestrator.Slot
	var err error
	s.store.View(func(tx store.ReadTx) {
		var tasks []*api.Task
		tasks, err = store.FindTasks(tx, store.ByServiceID(s.service.ID))
		for _, t := range tasks {
			slots = append(slots, orchestrator.Slot{t})
		}
	})
	if err != nil {
		return err
	}
	next := s.service.Copy()
	next.Spec = spec("v:2", s.tasks, int(s.service.Spec.Update.Parallelism))
	if err := s.store.Update(func(tx store.Tx) error { return store.UpdateService(tx, next) }); err != nil {
		return err
	}
	update.NewUpdater(s.store, restart.NewSupervisor(s.store), s.cluster, next).Run(ctx, slots)
	return s.updated()
}

// updated returns an error unless every task runs in the new version.
func (s *Service) updated() (err error) {
	n := 0
	s.store.View(func(tx store.ReadTx) {
		var tasks []*api.Task
		tasks, err = store.FindTasks(tx, store.ByServiceID(s.service.ID))
		for _, t := range tasks {
			if t.Spec.GetContainer().Image == "v:2" && t.Status.State == api.TaskStateRunning {
				n++
			}
		}
	})
	if err == nil && n != s.tasks {
		err = fmt.Errorf("%d of %d tasks were updated", n, s.tasks)
	}
	return err
}

// Close stops the agent.
func (s *Service) Close() error {
	s.stop()
	return errors.Join(<-s.agent, s.store.Close())
}
