package ota

// Counts counts agents, or tasks, by status.
type Counts struct {
	Pending   int `json:"pending"`
	Running   int `json:"running"`
	Waiting   int `json:"waiting"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
	Canceled  int `json:"canceled"`
	Unknown   int `json:"unknown"`
	AtTarget  int `json:"atTarget"` // of Succeeded: those that needed no change
}

// move counts one item with status to instead of from.
func (c *Counts) move(from, to TaskStatus) {
	*c.of(from)--
	*c.of(to)++
}

// of returns the counter of one status, or nil for an unknown status.
func (c *Counts) of(s TaskStatus) *int {
	switch s {
	case TaskPending:
		return &c.Pending
	case TaskRunning:
		return &c.Running
	case TaskWaiting:
		return &c.Waiting
	case TaskSucceeded:
		return &c.Succeeded
	case TaskFailed:
		return &c.Failed
	case TaskSkipped:
		return &c.Skipped
	case TaskCanceled:
		return &c.Canceled
	case TaskUnknown:
		return &c.Unknown
	}
	return nil
}

// Of returns how many have one status.
func (c Counts) Of(s TaskStatus) int {
	if n := c.of(s); n != nil {
		return *n
	}
	return 0
}

// Total returns the sum of all statuses.
func (c Counts) Total() int {
	return c.Pending + c.Running + c.Waiting + c.Succeeded + c.Failed + c.Skipped + c.Canceled + c.Unknown
}

// Bad returns how many count as failed: failed and unknown.
func (c Counts) Bad() int { return c.Failed + c.Unknown }
