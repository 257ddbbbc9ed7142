package servicefabric

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
)

// The modes, actions and orders of an upgrade.
const (
	modeAuto      = "UnmonitoredAuto"
	modeManual    = "UnmonitoredManual"
	modeMonitored = "Monitored"
	invalid       = "Invalid"

	actionRollback = "Rollback"
	actionManual   = "Manual"
)

var (
	modes   = []string{invalid, modeAuto, modeManual, modeMonitored}
	actions = []string{invalid, actionRollback, actionManual}
	orders  = []string{invalid, "Default", "Numeric", "Lexicographical", "ReverseNumeric", "ReverseLexicographical"}
	kinds   = []string{invalid, "Rolling"}
)

// description is an ApplicationUpgradeDescription. It is kept with the plan in this form, and
// shown.
type description struct {
	Name                                   string
	TargetApplicationTypeVersion           string
	Parameters                             []parameter
	UpgradeKind                            string
	RollingUpgradeMode                     string
	UpgradeReplicaSetCheckTimeoutInSeconds *int64 `json:",omitempty"`
	ForceRestart                           *bool  `json:",omitempty"`
	SortOrder                              string
	MonitoringPolicy                       *monitoringPolicy `json:",omitempty"`
	ApplicationHealthPolicy                *healthPolicy     `json:",omitempty"`
	InstanceCloseDelayDurationInSeconds    *int64            `json:",omitempty"`
}

type parameter struct{ Key, Value string }

type monitoringPolicy struct {
	FailureAction                           string `json:",omitempty"`
	HealthCheckWaitDurationInMilliseconds   *span  `json:",omitempty"`
	HealthCheckStableDurationInMilliseconds *span  `json:",omitempty"`
	HealthCheckRetryTimeoutInMilliseconds   *span  `json:",omitempty"`
	UpgradeTimeoutInMilliseconds            *span  `json:",omitempty"`
	UpgradeDomainTimeoutInMilliseconds      *span  `json:",omitempty"`
}

type healthPolicy struct {
	ConsiderWarningAsError                  *bool                 `json:",omitempty"`
	MaxPercentUnhealthyDeployedApplications *int64                `json:",omitempty"`
	DefaultServiceTypeHealthPolicy          *servicePolicy        `json:",omitempty"`
	ServiceTypeHealthPolicyMap              []servicePolicyOfType `json:",omitempty"`
}

type servicePolicy struct {
	MaxPercentUnhealthyPartitionsPerService *int64 `json:",omitempty"`
	MaxPercentUnhealthyReplicasPerPartition *int64 `json:",omitempty"`
	MaxPercentUnhealthyServices             *int64 `json:",omitempty"`
}

type servicePolicyOfType struct {
	Key   string
	Value *servicePolicy
}

// maxCheckTimeout is what the API's description prints as the most seconds of a replica set check.
const maxCheckTimeout = 42949672925

func (d *decoder) description(v *description) fields {
	return fields{
		"Name":                         d.text(&v.Name),
		"TargetApplicationTypeVersion": d.text(&v.TargetApplicationTypeVersion),
		"Parameters": list(d, &v.Parameters, func(p *parameter) fields {
			return fields{"Key": d.text(&p.Key), "Value": d.text(&p.Value)}
		}),
		"UpgradeKind":                            d.word(&v.UpgradeKind, kinds...),
		"RollingUpgradeMode":                     d.word(&v.RollingUpgradeMode, modes...),
		"UpgradeReplicaSetCheckTimeoutInSeconds": d.integer(&v.UpgradeReplicaSetCheckTimeoutInSeconds, maxCheckTimeout),
		"ForceRestart":                           d.truth(&v.ForceRestart),
		"SortOrder":                              d.word(&v.SortOrder, orders...),
		"MonitoringPolicy":                       inner(d, &v.MonitoringPolicy, d.monitoring),
		"ApplicationHealthPolicy":                inner(d, &v.ApplicationHealthPolicy, d.health),
		"InstanceCloseDelayDurationInSeconds":    d.integer(&v.InstanceCloseDelayDurationInSeconds, math.MaxUint32),
	}
}

func (d *decoder) monitoring(v *monitoringPolicy) fields {
	return fields{
		"FailureAction":                           d.word(&v.FailureAction, actions...),
		"HealthCheckWaitDurationInMilliseconds":   d.span(&v.HealthCheckWaitDurationInMilliseconds),
		"HealthCheckStableDurationInMilliseconds": d.span(&v.HealthCheckStableDurationInMilliseconds),
		"HealthCheckRetryTimeoutInMilliseconds":   d.span(&v.HealthCheckRetryTimeoutInMilliseconds),
		"UpgradeTimeoutInMilliseconds":            d.span(&v.UpgradeTimeoutInMilliseconds),
		"UpgradeDomainTimeoutInMilliseconds":      d.span(&v.UpgradeDomainTimeoutInMilliseconds),
	}
}

func (d *decoder) health(v *healthPolicy) fields {
	return fields{
		"ConsiderWarningAsError":                  d.truth(&v.ConsiderWarningAsError),
		"MaxPercentUnhealthyDeployedApplications": d.integer(&v.MaxPercentUnhealthyDeployedApplications, 100),
		"DefaultServiceTypeHealthPolicy":          inner(d, &v.DefaultServiceTypeHealthPolicy, d.services),
		"ServiceTypeHealthPolicyMap": list(d, &v.ServiceTypeHealthPolicyMap, func(t *servicePolicyOfType) fields {
			return fields{"Key": d.text(&t.Key), "Value": inner(d, &t.Value, d.services)}
		}),
	}
}

func (d *decoder) services(v *servicePolicy) fields {
	return fields{
		"MaxPercentUnhealthyPartitionsPerService": d.integer(&v.MaxPercentUnhealthyPartitionsPerService, 100),
		"MaxPercentUnhealthyReplicasPerPartition": d.integer(&v.MaxPercentUnhealthyReplicasPerPartition, 100),
		"MaxPercentUnhealthyServices":             d.integer(&v.MaxPercentUnhealthyServices, 100),
	}
}

// readDescription reads the body of Upgrade, with what has a default filled in.
func (c *call) readDescription() (description, error) {
	var v description
	if err := c.body(func(d *decoder) fields { return d.description(&v) }); err != nil {
		return v, err
	}
	v.fill()
	switch {
	case v.RollingUpgradeMode == invalid:
		return v, refuse(codeInvalid, "RollingUpgradeMode must not be Invalid.")
	case v.UpgradeKind == invalid:
		return v, refuse(codeInvalid, "UpgradeKind must be Rolling.")
	case v.SortOrder == invalid:
		return v, refuse(codeInvalid, "SortOrder must not be Invalid.")
	case v.Name != c.app:
		return v, refuse(codeInvalid, "Name is not the application that the path names, %s.", c.app)
	case v.TargetApplicationTypeVersion == "", len(v.TargetApplicationTypeVersion) > 255:
		return v, refuse(codeInvalid, "TargetApplicationTypeVersion is missing, or longer than 255 bytes.")
	}
	keys := map[string]bool{}
	for _, p := range v.Parameters {
		if p.Key == "" || keys[p.Key] {
			return v, refuse(codeInvalid, "Parameters have a Key that is empty or there twice.")
		}
		keys[p.Key] = true
	}
	return v, nil
}

func (v *description) fill() {
	v.UpgradeKind = cmp.Or(v.UpgradeKind, "Rolling")
	v.RollingUpgradeMode = cmp.Or(v.RollingUpgradeMode, modeAuto)
	v.SortOrder = cmp.Or(v.SortOrder, "Default")
	if v.Parameters == nil {
		v.Parameters = []parameter{}
	}
}

// monitoring is a description's monitoring policy with the runtime's defaults.
type monitoring struct {
	action                               string
	wait, stable, retry, upgrade, domain time.Duration
}

func (v *description) monitoring() monitoring {
	m := monitoring{action: actionManual, stable: 2 * time.Minute, retry: 10 * time.Minute, upgrade: math.MaxInt64, domain: math.MaxInt64}
	p := v.MonitoringPolicy
	if p == nil {
		return m
	}
	m.action = cmp.Or(p.FailureAction, m.action)
	for _, f := range []struct {
		to   *time.Duration
		from *span
	}{
		{&m.wait, p.HealthCheckWaitDurationInMilliseconds},
		{&m.stable, p.HealthCheckStableDurationInMilliseconds},
		{&m.retry, p.HealthCheckRetryTimeoutInMilliseconds},
		{&m.upgrade, p.UpgradeTimeoutInMilliseconds},
		{&m.domain, p.UpgradeDomainTimeoutInMilliseconds},
	} {
		if f.from != nil {
			*f.to = f.from.value
		}
	}
	return m
}

// validate is what the server checks of a monitored upgrade.
func (v *description) validate() error {
	if v.RollingUpgradeMode != modeMonitored {
		return nil
	}
	m := v.monitoring()
	if m.action == invalid {
		return refuse(codeValidation, "FailureAction must not be Invalid.")
	}
	for _, limit := range []struct {
		name  string
		value time.Duration
	}{{"UpgradeTimeout", m.upgrade}, {"UpgradeDomainTimeout", m.domain}} {
		for _, check := range []struct {
			name  string
			value time.Duration
		}{{"HealthCheckRetryTimeout", m.retry}, {"HealthCheckStableDuration", m.stable}} {
			if sum := plus(m.wait, check.value); limit.value <= sum && limit.value != math.MaxInt64 || sum == math.MaxInt64 {
				return refuse(codeValidation, "%s (%s) must be greater than HealthCheckWaitDuration + %s (%s).",
					limit.name, printSpan(limit.value), check.name, printSpan(sum))
			}
		}
	}
	if m.wait > noTimeout || m.stable > noTimeout || m.retry > noTimeout {
		return refuse(codeValidation, "The durations of health checks must not be longer than %s.", printSpan(noTimeout))
	}
	if m.upgrade < m.domain {
		return refuse(codeValidation, "UpgradeTimeout (%s) must not be less than UpgradeDomainTimeout (%s).", printSpan(m.upgrade), printSpan(m.domain))
	}
	return nil
}

// plus adds two lengths of time, and ends at the longest.
func plus(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// same reports whether two descriptions say the same.
func (v *description) same(o *description) bool { return v.canonical() == o.canonical() }

// canonical is one text for all descriptions that say the same, whatever the order of parameters
// and the spelling of times.
func (v *description) canonical() string {
	m := v.monitoring()
	c := *v
	c.MonitoringPolicy = nil
	c.Parameters = sorted(v.Parameters)
	text, err := json.Marshal(struct {
		description
		Action                               string
		Wait, Stable, Retry, Upgrade, Domain time.Duration
	}{c, m.action, m.wait, m.stable, m.retry, m.upgrade, m.domain})
	if err != nil {
		panic(err) // our own types always encode
	}
	return string(text)
}

func sorted(p []parameter) []parameter {
	return slices.SortedFunc(slices.Values(p), func(a, b parameter) int { return strings.Compare(a.Key, b.Key) })
}

func sameParameters(a, b []parameter) bool { return slices.Equal(sorted(a), sorted(b)) }
