package servicefabric

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// progressInfo is an ApplicationUpgradeProgressInfo.
type progressInfo struct {
	Name                                string
	TypeName                            string
	TargetApplicationTypeVersion        string
	UpgradeDomains                      []domain
	UpgradeState                        string
	NextUpgradeDomain                   string
	RollingUpgradeMode                  string
	UpgradeDescription                  description
	UpgradeDurationInMilliseconds       string
	UpgradeDomainDurationInMilliseconds string
	UnhealthyEvaluations                []evaluation
	CurrentUpgradeDomainProgress        domainProgress
	StartTimestampUtc                   timestamp
	FailureTimestampUtc                 timestamp
	FailureReason                       string
	UpgradeDomainProgressAtFailure      domainProgress
	UpgradeStatusDetails                string
}

// takeover is how long an engine may need to take a plan that was just started. The details do not
// say before that no engine drives it.
const takeover = 10 * time.Second

type evaluation struct {
	HealthEvaluation struct {
		Kind                                    string
		Description                             string
		AggregatedHealthState                   string
		MaxPercentUnhealthyDeployedApplications int64
		TotalCount                              int
		UnhealthyEvaluations                    []evaluation
	}
}

// timestamp is a time as the server prints it; one that never was is in the year 1.
type timestamp struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// progress is GetApplicationUpgrade.
func (c *call) progress() error {
	u, err := c.h.load(c.ctx, c.app)
	if err != nil {
		return err
	}
	if err := c.allow(httpapi.ActionRead, u.plan); err != nil {
		return err
	}
	info, err := c.progressOf(u)
	if err != nil {
		return err
	}
	c.answer(http.StatusOK, info)
	return nil
}

func (c *call) progressOf(u *upgrade) (*progressInfo, error) {
	ds, err := u.domains(c.ctx, c.h.engine)
	if err != nil {
		return nil, err
	}
	none := domainProgress{NodeUpgradeProgressList: []nodeProgress{}}
	info := &progressInfo{
		Name: c.app, TypeName: u.app.TypeName, UpgradeDomains: ds.shown(), FailureReason: reasonNone,
		CurrentUpgradeDomainProgress: none, UpgradeDomainProgressAtFailure: none,
		UpgradeDurationInMilliseconds: printSpan(0), UpgradeDomainDurationInMilliseconds: printSpan(0),
		UnhealthyEvaluations: []evaluation{},
	}
	if u.plan == nil {
		info.TargetApplicationTypeVersion, info.UpgradeState, info.RollingUpgradeMode = u.app.TypeVersion, "RollingForwardCompleted", invalid
		info.UpgradeDescription = description{Name: c.app, TargetApplicationTypeVersion: u.app.TypeVersion, RollingUpgradeMode: invalid}
		info.UpgradeDescription.fill()
		return info, nil
	}
	info.RollingUpgradeMode = u.mode()
	info.UpgradeState = u.state(ds, info.RollingUpgradeMode)
	info.StartTimestampUtc.Time = u.plan.StartedAt
	if next := ds.next(); next != nil {
		info.NextUpgradeDomain = next.Name
	}
	info.describe(u)
	info.clocks(u, ds, c.h.base.Clock.Now())
	return info, c.tell(info, u, ds)
}

// state is the UpgradeState.
func (u *upgrade) state(ds *domains, mode string) string {
	waits := ds.running == nil && mode != modeAuto && u.waitsFor(ds.next())
	switch {
	case u.plan.Status == ota.StatusCompleted:
		return "RollingForwardCompleted"
	case u.wentBack():
		return "RollingBackCompleted"
	case u.failed:
		return "Failed"
	case u.goingBack() && waits:
		return "RollingBackPending"
	case u.goingBack():
		return "RollingBackInProgress"
	case waits:
		return "RollingForwardPending"
	default:
		return "RollingForwardInProgress"
	}
}

// waitsFor reports whether a domain is to be waited for: it is the next one, and not the first,
// which begins by itself.
func (u *upgrade) waitsFor(next *domain) bool { return next != nil && (next.batch > 0 || u.stopped()) }

// describe shows the description with what became of it since: the old version as the target once
// it goes back.
func (info *progressInfo) describe(u *upgrade) {
	d := u.kept.Description
	d.RollingUpgradeMode = info.RollingUpgradeMode
	info.TargetApplicationTypeVersion = u.plan.ToVersion
	if u.goingBack() || u.wentBack() || u.failed {
		info.TargetApplicationTypeVersion = u.plan.FromVersion
		d.TargetApplicationTypeVersion, d.Parameters = u.plan.FromVersion, u.kept.Previous
		d.fill()
	}
	info.UpgradeDescription = d
}

// clocks tells how long the upgrade, and the domain that is in progress, have taken.
func (info *progressInfo) clocks(u *upgrade, ds *domains, now time.Time) {
	if started := u.plan.StartedAt; !started.IsZero() {
		until := now
		if !u.plan.EndedAt.IsZero() && u.plan.Status.Ended() {
			until = u.plan.EndedAt
		}
		info.UpgradeDurationInMilliseconds = printSpan(until.Sub(started))
	}
	if ds.running != nil && !ds.running.StartedAt.IsZero() {
		info.UpgradeDomainDurationInMilliseconds = printSpan(now.Sub(ds.running.StartedAt))
	}
}

// tell adds what has to be asked for: the agents at work, why it failed, and how it stands in
// words.
func (c *call) tell(info *progressInfo, u *upgrade, ds *domains) (err error) {
	e := c.h.engine
	if ds.plan != nil {
		if info.CurrentUpgradeDomainProgress, err = domainNow(c.ctx, e, ds.plan.ID, ds.running); err != nil {
			return err
		}
	}
	f := u.failure
	if f == nil && len(u.plan.Breaches) > 0 {
		if f, err = u.failing(c.ctx, e, &u.plan.Breaches[0]); err != nil {
			return err
		}
	}
	if f != nil {
		if f.Domain.NodeUpgradeProgressList == nil {
			f.Domain.NodeUpgradeProgressList = []nodeProgress{}
		}
		info.FailureReason, info.FailureTimestampUtc.Time, info.UpgradeDomainProgressAtFailure = f.Reason, f.At, f.Domain
	}
	failed, err := failedAgents(c.ctx, e, u.plan)
	if err != nil {
		return err
	}
	if failed != "" {
		var x evaluation
		h := &x.HealthEvaluation
		h.Kind, h.AggregatedHealthState, h.UnhealthyEvaluations = "DeployedApplications", "Error", []evaluation{}
		h.Description = fmt.Sprintf("%d of %s unhealthy; failed: %s", u.plan.Counts.Bad(), plural.Count(u.plan.Agents, "agent"), failed)
		h.MaxPercentUnhealthyDeployedApplications, h.TotalCount = int64(100*u.kept.Description.threshold()), u.plan.Agents
		info.UnhealthyEvaluations = append(info.UnhealthyEvaluations, x)
	}
	at := u.plan
	if ds.plan != nil {
		at = ds.plan
	}
	why, err := e.Explain(c.ctx, at.ID)
	if err != nil {
		return err
	}
	if young := c.h.base.Clock.Now().Sub(at.StartedAt) < takeover; young {
		why.Blockers = slices.DeleteFunc(why.Blockers, func(b ota.Blocker) bool { return b.Reason == ota.ReasonNoEngine })
	}
	info.UpgradeStatusDetails = why.Sentence()
	if failed != "" {
		info.UpgradeStatusDetails += "; failed: " + failed
	}
	return nil
}
