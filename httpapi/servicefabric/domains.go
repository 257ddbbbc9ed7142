package servicefabric

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// The states of an upgrade domain.
const (
	domainPending    = "Pending"
	domainInProgress = "InProgress"
	domainCompleted  = "Completed"
)

// domain is an upgrade domain as it stands.
type domain struct {
	Name  string
	State string

	batch int // in the plan that is at work
}

// domains are an application's upgrade domains as they stand, in the order in which the plan at
// work takes them.
type domains struct {
	list    []domain
	plan    *ota.Plan  // the plan at work: forward, or back; nil when there is none
	running *ota.Batch // its batch that is in progress, or nil
}

// domains reads them. Once an upgrade has ended, wherever, all are completed.
func (u *upgrade) domains(ctx context.Context, e *ota.Engine) (*domains, error) {
	ds := &domains{}
	if u.plan == nil {
		list, err := order(u.app.UpgradeDomains, "Default")
		for _, d := range list {
			ds.list = append(ds.list, domain{Name: d.Name, State: domainCompleted})
		}
		return ds, err
	}
	ended := u.plan.Status.Ended()
	if u.goingBack() {
		return ds, ds.back(ctx, e, u)
	}
	ds.plan = u.plan
	for b, err := range e.Batches(ctx, u.plan.ID, 0) {
		if err != nil {
			return nil, err
		}
		d := domain{Name: b.Name, State: domainCompleted, batch: b.Index}
		switch {
		case ended:
		case b.Status == ota.BatchPending, b.Status == ota.BatchRunning && u.stopped():
			d.State = domainPending
		case b.Status == ota.BatchRunning:
			d.State = domainInProgress
			ds.running = &b
		}
		ds.list = append(ds.list, d)
	}
	return ds, nil
}

// stopped reports whether a breach has stopped a domain on its way: it is then the next one again.
func (u *upgrade) stopped() bool { return u.plan.Status == ota.StatusPaused && u.breach() != nil }

// back reads the domains of an upgrade that rolls back: those with nothing to undo are completed.
// Until the first one has begun after an interruption there are none.
func (ds *domains) back(ctx context.Context, e *ota.Engine, u *upgrade) error {
	if u.back == nil {
		return nil
	}
	ds.plan = u.back
	begun := false
	seen := map[string]bool{}
	for b, err := range e.Batches(ctx, u.back.ID, 0) {
		if err != nil {
			return err
		}
		d := domain{Name: b.Name, State: domainCompleted, batch: b.Index}
		switch b.Status {
		case ota.BatchPending:
			d.State = domainPending
		case ota.BatchRunning:
			d.State = domainInProgress
			ds.running = &b
		}
		begun = begun || b.Status != ota.BatchPending
		seen[b.Name] = true
		ds.list = append(ds.list, d)
	}
	if !begun && u.interrupted() {
		ds.list = nil
		return nil
	}
	for b, err := range e.Batches(ctx, u.plan.ID, 0) {
		if err != nil {
			return err
		}
		if !seen[b.Name] {
			ds.list = append(ds.list, domain{Name: b.Name, State: domainCompleted, batch: -1})
		}
	}
	return nil
}

// next is the first domain that is pending, or nil.
func (ds *domains) next() *domain {
	for i := range ds.list {
		if ds.list[i].State == domainPending {
			return &ds.list[i]
		}
	}
	return nil
}

// shown are the domains as the server lists them: in progress, then pending, then completed.
func (ds *domains) shown() []domain {
	rank := map[string]int{domainInProgress: 0, domainPending: 1, domainCompleted: 2}
	list := append([]domain{}, ds.list...)
	slices.SortStableFunc(list, func(a, b domain) int { return rank[a.State] - rank[b.State] })
	return list
}

// domainProgress is what the agents of a domain are doing.
type domainProgress struct {
	DomainName              string
	NodeUpgradeProgressList []nodeProgress
}

type nodeProgress struct {
	NodeName            string
	UpgradePhase        string
	PendingSafetyChecks []struct{}
}

func (p *domainProgress) add(agent, phase string) {
	p.NodeUpgradeProgressList = append(p.NodeUpgradeProgressList, nodeProgress{agent, phase, []struct{}{}})
}

// The most agents that are shown of a domain, and of one at its failure, which is kept with the
// plan.
const (
	maxNodes     = 1000
	maxKeptNodes = 100
)

// extent returns the ordinals of a batch's agents: from, to.
func extent(ctx context.Context, e *ota.Engine, plan string, batch int) (b ota.Batch, q ota.AgentQuery, err error) {
	for b, err = range e.Batches(ctx, plan, 0) {
		if err != nil {
			return b, q, err
		}
		q.From, q.To = q.To, q.To+b.Size
		if b.Index == batch {
			return b, q, nil
		}
	}
	return ota.Batch{}, ota.AgentQuery{}, nil
}

// domainNow is what the agents of a running batch are doing now.
func domainNow(ctx context.Context, e *ota.Engine, plan string, running *ota.Batch) (domainProgress, error) {
	p := domainProgress{NodeUpgradeProgressList: []nodeProgress{}}
	if running == nil {
		return p, nil
	}
	p.DomainName = running.Name
	_, q, err := extent(ctx, e, plan, running.Index)
	if err != nil {
		return p, err
	}
	q.Status, q.Limit = []ota.TaskStatus{ota.TaskRunning, ota.TaskWaiting, ota.TaskPending}, maxNodes
	page, err := e.Agents(ctx, plan, q)
	for i := range page.Items {
		a := &page.Items[i]
		phase := "PreUpgradeSafetyCheck"
		if a.Status == ota.TaskRunning || a.Changed {
			phase = "Upgrading"
		}
		p.add(a.ID, phase)
	}
	return p, err
}

// domainAt is which agents of a batch were being upgraded at a time in the past, or have failed.
func domainAt(ctx context.Context, e *ota.Engine, plan string, batch int, at time.Time) (domainProgress, error) {
	p := domainProgress{NodeUpgradeProgressList: []nodeProgress{}}
	b, q, err := extent(ctx, e, plan, batch)
	p.DomainName = b.Name
	if err != nil || q.To == 0 {
		return p, err
	}
	for {
		page, err := e.Agents(ctx, plan, q)
		if err != nil {
			return p, err
		}
		for i := range page.Items {
			a := &page.Items[i]
			q.From = a.Ordinal + 1
			t := &a.Tasks[0]
			failed := a.Status == ota.TaskFailed || a.Status == ota.TaskUnknown
			if t.StartedAt.IsZero() || t.StartedAt.After(at) || !failed && !t.EndedAt.IsZero() && t.EndedAt.Before(at) {
				continue
			}
			if p.add(a.ID, "Upgrading"); len(p.NodeUpgradeProgressList) == maxKeptNodes {
				return p, nil
			}
		}
		if !page.More || len(page.Items) == 0 {
			return p, nil
		}
	}
}

// failedAgents names agents of a plan that have failed, at most 20.
func failedAgents(ctx context.Context, e *ota.Engine, p *ota.Plan) (string, error) {
	if p.Counts.Bad() == 0 {
		return "", nil
	}
	const most = 20
	page, err := e.Agents(ctx, p.ID, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskFailed, ota.TaskUnknown}, Limit: most})
	if err != nil {
		return "", err
	}
	names := make([]string, 0, most)
	for i := range page.Items {
		names = append(names, page.Items[i].ID)
	}
	if page.More {
		names = append(names, "…")
	}
	return strings.Join(names, ", "), nil
}
