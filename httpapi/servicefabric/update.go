package servicefabric

import (
	"cmp"
	"math"
	"strconv"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// updateDescription is an ApplicationUpgradeUpdateDescription. What is absent does not change.
type updateDescription struct {
	Name                    string
	UpgradeKind             string
	ApplicationHealthPolicy *healthPolicy
	UpdateDescription       *rollingUpdate
}

// rollingUpdate is a RollingUpgradeUpdateDescription.
type rollingUpdate struct {
	monitoringPolicy
	RollingUpgradeMode                   string
	ForceRestart                         *bool
	ReplicaSetCheckTimeoutInMilliseconds *int64
	InstanceCloseDelayDurationInSeconds  *int64
}

func (c *call) readUpdate() (updateDescription, error) {
	var v updateDescription
	err := c.body(func(d *decoder) fields {
		return fields{
			"Name":                    d.text(&v.Name),
			"UpgradeKind":             d.word(&v.UpgradeKind, kinds...),
			"ApplicationHealthPolicy": inner(d, &v.ApplicationHealthPolicy, d.health),
			"UpdateDescription": inner(d, &v.UpdateDescription, func(r *rollingUpdate) fields {
				known := d.monitoring(&r.monitoringPolicy)
				known["RollingUpgradeMode"] = d.word(&r.RollingUpgradeMode, modes...)
				known["ForceRestart"] = d.truth(&r.ForceRestart)
				known["ReplicaSetCheckTimeoutInMilliseconds"] = d.integer(&r.ReplicaSetCheckTimeoutInMilliseconds, maxCheckTimeout*1000)
				known["InstanceCloseDelayDurationInSeconds"] = d.integer(&r.InstanceCloseDelayDurationInSeconds, math.MaxUint32)
				return known
			}),
		}
	})
	return v, err
}

// update is UpdateApplicationUpgrade.
func (c *call) update() error {
	v, err := c.readUpdate()
	if err != nil {
		return err
	}
	if err := c.retry(func() error { return c.tryUpdate(&v) }); err != nil {
		return err
	}
	return c.ok()
}

func (c *call) tryUpdate(v *updateDescription) error {
	u, err := c.h.load(c.ctx, c.app)
	if err != nil {
		return err
	}
	if err := c.allow(httpapi.VerbAction(ota.VerbEdit), u.plan); err != nil {
		return err
	}
	if u.plan == nil {
		return refuse(codeNotUpgrading, messageNoUpgrade)
	}
	switch {
	case v.Name != c.app:
		return refuse(codeValidation, "Name is not the application that the path names, %s.", c.app)
	case cmp.Or(v.UpgradeKind, "Rolling") != "Rolling":
		return refuse(codeValidation, "UpgradeKind must be Rolling.")
	case v.ApplicationHealthPolicy == nil && v.UpdateDescription == nil:
		return refuse(codeValidation, "There is neither an ApplicationHealthPolicy nor an UpdateDescription.")
	case v.UpdateDescription != nil && v.UpdateDescription.RollingUpgradeMode == invalid:
		return refuse(codeValidation, "RollingUpgradeMode must not be Invalid.")
	case !u.pending(), u.plan.Status == ota.StatusCanceling:
		return refuse(codeValidation, "The upgrade has ended.")
	case u.goingBack():
		return c.updateBack(u, v)
	}
	next := u.kept
	next.Description.merge(v)
	if err := next.Description.validate(); err != nil {
		return err
	}
	goesOn := v.UpdateDescription != nil && v.UpdateDescription.RollingUpgradeMode != "" && v.UpdateDescription.RollingUpgradeMode != modeManual
	return c.change(u, &next, goesOn)
}

// merge changes what v says.
func (v *description) merge(by *updateDescription) {
	if by.ApplicationHealthPolicy != nil {
		v.ApplicationHealthPolicy = by.ApplicationHealthPolicy
	}
	r := by.UpdateDescription
	if r == nil {
		return
	}
	v.RollingUpgradeMode = cmp.Or(r.RollingUpgradeMode, v.RollingUpgradeMode)
	v.ForceRestart = cmp.Or(r.ForceRestart, v.ForceRestart)
	v.InstanceCloseDelayDurationInSeconds = cmp.Or(r.InstanceCloseDelayDurationInSeconds, v.InstanceCloseDelayDurationInSeconds)
	if ms := r.ReplicaSetCheckTimeoutInMilliseconds; ms != nil {
		seconds := (*ms + 999) / 1000
		v.UpgradeReplicaSetCheckTimeoutInSeconds = &seconds
	}
	if r.monitoringPolicy == (monitoringPolicy{}) {
		return
	}
	var m monitoringPolicy
	if v.MonitoringPolicy != nil {
		m = *v.MonitoringPolicy
	}
	n := &r.monitoringPolicy
	v.MonitoringPolicy = &monitoringPolicy{
		FailureAction:                           cmp.Or(n.FailureAction, m.FailureAction),
		HealthCheckWaitDurationInMilliseconds:   cmp.Or(n.HealthCheckWaitDurationInMilliseconds, m.HealthCheckWaitDurationInMilliseconds),
		HealthCheckStableDurationInMilliseconds: cmp.Or(n.HealthCheckStableDurationInMilliseconds, m.HealthCheckStableDurationInMilliseconds),
		HealthCheckRetryTimeoutInMilliseconds:   cmp.Or(n.HealthCheckRetryTimeoutInMilliseconds, m.HealthCheckRetryTimeoutInMilliseconds),
		UpgradeTimeoutInMilliseconds:            cmp.Or(n.UpgradeTimeoutInMilliseconds, m.UpgradeTimeoutInMilliseconds),
		UpgradeDomainTimeoutInMilliseconds:      cmp.Or(n.UpgradeDomainTimeoutInMilliseconds, m.UpgradeDomainTimeoutInMilliseconds),
	}
}

// updateBack changes an upgrade that rolls back: its mode between the unmonitored ones, and what
// concerns the Executor.
func (c *call) updateBack(u *upgrade, v *updateDescription) error {
	r := v.UpdateDescription
	switch {
	case v.ApplicationHealthPolicy != nil, r.monitoringPolicy != monitoringPolicy{}, r.RollingUpgradeMode == modeMonitored,
		r.InstanceCloseDelayDurationInSeconds != nil:
		return refuse(codeValidation, "While the application rolls back only an unmonitored RollingUpgradeMode, ForceRestart and the replica set check timeout may change.")
	case u.back == nil || u.plan.Status != ota.StatusRollingBack:
		return errAgain // it is about to be made
	}
	var changed description
	changed.merge(v)
	if notes := changed.attemptNotes(); len(notes) > 0 {
		if _, err := c.h.engine.Annotate(c.ctx, u.back.ID, notes, nil, c.by("")); err != nil {
			return stale(err)
		}
		next := u.kept
		next.Description.merge(&updateDescription{UpdateDescription: &rollingUpdate{
			ForceRestart: r.ForceRestart, ReplicaSetCheckTimeoutInMilliseconds: r.ReplicaSetCheckTimeoutInMilliseconds,
		}})
		text, err := written(next)
		if err != nil {
			return err
		}
		if err := c.annotate(u.plan, map[string]string{keyUpgrade: text}, nil); err != nil {
			return err
		}
	}
	if r.RollingUpgradeMode == "" {
		return nil
	}
	hold := ota.Hold{All: r.RollingUpgradeMode == modeManual}
	_, err := c.h.engine.Edit(c.ctx, u.back.ID, func(p *ota.Policy) { p.Hold = hold }, c.by("mode "+strconv.Quote(r.RollingUpgradeMode)))
	return stale(err)
}
