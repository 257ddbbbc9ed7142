package harness

import (
	"encoding/json"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// What a Store keeps is bytes. These types are what ota.Describe says of them, as far as the checks
// look at it.

type planView struct {
	ota.PlanRow
	Control  controlView
	Progress progressView
}

type controlView struct {
	Policy   ota.Policy `json:"policy"`
	Cancel   *ota.Audit `json:"cancel"`
	Rollback *struct {
		Done time.Time `json:"done"`
	} `json:"rollback"`
}

type progressView struct {
	Owner   string     `json:"owner"`
	Counts  ota.Counts `json:"counts"`
	Tasks   ota.Counts `json:"tasks"`
	Open    int        `json:"open"`
	Changed int        `json:"touched"`
	EndedAt time.Time  `json:"endedAt"`
	// Rest has every member but the time of the last commit.
	Rest map[string]any `json:"-"`
}

type batchView struct {
	Index     int             `json:"index"`
	Status    ota.BatchStatus `json:"status"`
	Counts    ota.Counts      `json:"counts"`
	Tasks     ota.Counts      `json:"tasks"`
	Open      int             `json:"open"`
	Changed   int             `json:"changed"`
	Unhealthy int             `json:"unhealthy"`
	bytes     string
}

// AgentView is an agent as it is stored.
type AgentView struct {
	Ordinal, Batch int
	ID             string
	Labels         map[string]string
	State          AgentState
	bytes          string // of which State was read
}

// AgentState is what changes about an agent.
type AgentState struct {
	Status    ota.TaskStatus `json:"status"`
	Changed   bool           `json:"touched"`
	Open      bool           `json:"open"`
	AtTarget  bool           `json:"atTarget"`
	Unhealthy bool           `json:"unhealthy"`
	Released  bool           `json:"released"`
	Urgent    bool           `json:"urgent"`
	Straggler bool           `json:"straggler"`
	Down      bool           `json:"down"`
	Since     time.Time      `json:"unhealthySince"`
	Previous  string         `json:"previous"`
	Tasks     []TaskState    `json:"tasks"`
}

// TaskState is what changes about a task.
type TaskState struct {
	Status  ota.TaskStatus `json:"status"`
	Why     ota.Reason     `json:"why"`
	Tries   uint8          `json:"tries"`
	Changed bool           `json:"touched"`
	Number  uint32         `json:"number"`
	Started time.Time      `json:"started"`
	Ended   time.Time      `json:"ended"`
	Version string         `json:"version"`
	Error   string         `json:"error"`
	Away    time.Time      `json:"away"`
}

// described reads what ota.Describe says of bytes, under a name.
func described(part []byte, name string, v any) error {
	text, err := ota.Describe(part)
	if err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	return json.Unmarshal(members[name], v)
}

// decode fills a snapshot from the parts of its plan, and from its rows. was, if there is one, is a
// snapshot of the same plan: what has not changed since is not read again.
func (s *Snapshot) decode(was *Snapshot, batches, agents []ota.Row) error {
	if was == nil || len(was.Agents) != len(agents) {
		was = &Snapshot{Agents: make([]AgentView, len(agents))}
	}
	if err := described(s.row.Parts.Control, "control", &s.row.Control); err != nil {
		return err
	}
	if err := described(s.row.Parts.Progress, "progress", &s.row.Progress); err != nil {
		return err
	}
	if err := described(s.row.Parts.Progress, "progress", &s.row.Progress.Rest); err != nil {
		return err
	}
	delete(s.row.Progress.Rest, "at")
	s.batches, s.Agents = make([]batchView, len(batches)), make([]AgentView, len(agents))
	for i := range batches {
		if err := described(batches[i].State, "batch", &s.batches[i]); err != nil {
			return err
		}
		s.batches[i].bytes = string(batches[i].State)
	}
	for i := range agents {
		if a := &was.Agents[i]; a.bytes != "" && a.ID == agents[i].ID && a.bytes == string(agents[i].State) {
			s.Agents[i] = *a
			continue
		}
		if err := s.Agents[i].decode(&agents[i]); err != nil {
			return err
		}
	}
	return nil
}

// Agent reads an agent.
func Agent(r *ota.Row) (a AgentView, err error) {
	err = a.decode(r)
	return a, err
}

func (a *AgentView) decode(r *ota.Row) error {
	a.Ordinal, a.Batch, a.ID, a.Labels, a.bytes = r.Number, r.Batch, r.ID, r.Labels, string(r.State)
	if len(r.State) > 0 {
		return described(r.State, "state", &a.State)
	}
	var fixed struct {
		Tasks []json.RawMessage `json:"tasks"`
	}
	if len(r.Fixed) > 0 {
		if err := described(r.Fixed, "agent", &fixed); err != nil {
			return err
		}
	}
	a.State.Tasks = make([]TaskState, max(1, len(fixed.Tasks)))
	return nil
}

// Member returns a member of what ota.Describe says of bytes; nil when there is none.
func Member(part []byte, name string) any {
	text, err := ota.Describe(part)
	if err != nil {
		return nil
	}
	var all map[string]map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil
	}
	for _, members := range all {
		return members[name]
	}
	return nil
}
