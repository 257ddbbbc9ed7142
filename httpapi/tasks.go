package httpapi

import (
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

const (
	defaultTasks = 100
	cursorMark   = "v1."
)

// listTasks is ListTasks: a page of agents, in the plan's order, with all tasks of each. The cursor
// is the place where the next page begins, so a page costs the same however far down it is.
func listTasks(c *call) error {
	q := ota.AgentQuery{}
	var err error
	if q.Limit, err = c.number("limit", 1, protocol.MaxTasks, defaultTasks); err != nil {
		return err
	}
	if q.From, err = c.cursor(); err != nil {
		return err
	}
	if q.Status, err = statuses(c.query["status"]); err != nil {
		return err
	}
	if q.IDs = c.query["agentId"]; len(q.IDs) > protocol.MaxTasks {
		return newProblem("malformed", "", wire.Mistake{Pointer: "agentId", Problem: "is there too often", Allowed: "at most 1000 times"})
	}
	batch, err := c.number("batch", 0, maxOffset, -1)
	if err != nil {
		return err
	}
	p, err := c.plan(c.id, ActionRead)
	if err != nil {
		return err
	}
	if batch >= 0 {
		if err := c.within(p, batch, &q); err != nil {
			return err
		}
	}
	out := wire.TaskPage{Items: []wire.TaskInfo{}}
	if q.To == 0 || q.From < q.To {
		found, err := c.h.engine.Agents(c.r.Context(), p.ID, q)
		if err != nil {
			return err
		}
		for i := range found.Items {
			a := &found.Items[i]
			for k := range a.Tasks {
				out.Items = append(out.Items, taskInfoOf(&p, a, k))
			}
			if found.More && i == len(found.Items)-1 {
				out.Next = cursorMark + strconv.Itoa(a.Ordinal+1)
			}
		}
	}
	if out.Next != "" {
		next := url.Values{}
		maps.Copy(next, c.query)
		next.Set("cursor", out.Next)
		c.w.Header().Set("Link", "<?"+next.Encode()+`>; rel="next"`)
	}
	return c.json(out)
}

func (c *call) cursor() (int, error) {
	values := c.query["cursor"]
	if len(values) == 0 {
		return 0, nil
	}
	s, ok := strings.CutPrefix(values[0], cursorMark)
	n, err := strconv.Atoi(s)
	if !ok || err != nil || n < 0 || n > maxOffset || len(values) > 1 {
		return 0, newProblem("malformed", "", wire.Mistake{Pointer: "cursor", Problem: "is no cursor", Value: texts.Shorten(values[0]), Allowed: "nextCursor of a page"})
	}
	return n, nil
}

// within narrows q to a batch.
func (c *call) within(p ota.Plan, batch int, q *ota.AgentQuery) error {
	first := 0
	for b, err := range c.h.engine.Batches(c.r.Context(), p.ID, 0) {
		if err != nil {
			return err
		}
		if b.Index == batch {
			q.From, q.To = max(q.From, first), first+b.Size
			return nil
		}
		first += b.Size
	}
	return newProblem("not_found", "the plan has no batch "+strconv.Itoa(batch))
}

// statuses turns words of the wire into the Engine's.
func statuses(words []string) ([]ota.TaskStatus, error) {
	var out []ota.TaskStatus
	for _, word := range words {
		var s ota.TaskStatus
		if s.UnmarshalText([]byte(word)) != nil {
			return nil, newProblem("malformed", "", wire.Mistake{
				Pointer: "status", Problem: "is no status of a task", Value: texts.Shorten(word),
				Allowed: "pending, running, waiting, succeeded, failed, skipped, canceled, unknown",
			})
		}
		out = append(out, s)
		if s == ota.TaskRunning {
			out = append(out, ota.TaskWaiting)
		}
	}
	return out, nil
}

func taskInfoOf(p *ota.Plan, a *ota.AgentInfo, i int) wire.TaskInfo {
	t := &a.Tasks[i]
	return wire.TaskInfo{
		Task: taskOf(p, planDigits(p.ID), a, i), BatchIndex: a.Batch, Target: t.Target, Waiting: t.Status == ota.TaskWaiting, Reason: t.Reason,
		Attempts: t.Attempts, StartedAt: wire.Time{Time: t.StartedAt}, EndedAt: wire.Time{Time: t.EndedAt}, DueAt: wire.Time{Time: t.DueAt},
	}
}
