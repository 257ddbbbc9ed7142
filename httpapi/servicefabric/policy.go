package servicefabric

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// noTimeout is from when on a timeout is none: the Engine counts up to ten years.
const noTimeout = 10 * 365 * 24 * time.Hour

// apply makes p the policy that the description asks for.
func (v *description) apply(p *ota.Policy) {
	p.Hold = ota.Hold{All: v.RollingUpgradeMode == modeManual}
	p.OnBreach = ota.ActionContinue
	p.Soak = ota.Soak{}
	p.BatchTimeout, p.PlanTimeout = 0, 0
	threshold := v.threshold()
	p.FailureThreshold = &threshold
	if v.RollingUpgradeMode != modeMonitored {
		return
	}
	m := v.monitoring()
	p.OnBreach = ota.ActionPause
	if m.action == actionRollback {
		p.OnBreach = ota.ActionRollback
	}
	p.Soak = ota.Soak{Duration: m.wait, Stable: m.stable, Grace: m.retry, Interval: probeEvery(m)}
	if m.domain < noTimeout {
		p.BatchTimeout = m.domain
	}
	if m.upgrade < noTimeout {
		p.PlanTimeout = m.upgrade
	}
}

// threshold is the share of unhealthy agents of a domain that is tolerated.
func (v *description) threshold() float64 {
	if h := v.ApplicationHealthPolicy; h != nil && h.MaxPercentUnhealthyDeployedApplications != nil {
		return float64(*h.MaxPercentUnhealthyDeployedApplications) / 100
	}
	return 0
}

// probeEvery is the time between two questions about health: the Engine's default, or less where a
// change would be noticed too late.
func probeEvery(m monitoring) time.Duration {
	every := ota.DefaultSoakInterval
	for _, d := range []time.Duration{m.stable, m.retry} {
		if d > 0 {
			every = min(every, d/4)
		}
	}
	return max(every, 100*time.Millisecond)
}

// backPolicy is the policy of a rollback: it goes through whatever happens, domain by domain.
func backPolicy(p ota.Policy, hold bool) *ota.Policy {
	all := 1.0
	p.FailureThreshold = &all
	p.OnBreach, p.Reserve = ota.ActionContinue, false
	p.Soak = ota.Soak{}
	p.Hold = ota.Hold{All: hold}
	p.BatchTimeout, p.PlanTimeout, p.MaxConsecutive = 0, 0, 0
	return &p
}

// lay cuts an application's agents into batches, one for each upgrade domain, in the order that the
// description asks for.
func (v *description) lay(app *Application) (ota.Shape, iter.Seq2[ota.Agent, error], error) {
	var shape ota.Shape
	domains, err := order(app.UpgradeDomains, v.SortOrder)
	if err != nil {
		return shape, nil, err
	}
	domains = slices.DeleteFunc(domains, func(d UpgradeDomain) bool { return len(d.Agents) == 0 })
	if len(domains) == 0 {
		return shape, nil, refuse(codeValidation, "The application has no agents.")
	}
	for _, d := range domains {
		shape.Batches = append(shape.Batches, ota.BatchShape{Name: d.Name, Size: len(d.Agents)})
	}
	return shape, func(yield func(ota.Agent, error) bool) {
		for _, d := range domains {
			for _, id := range d.Agents {
				if !yield(ota.Agent{ID: id}, nil) {
					return
				}
			}
		}
	}, nil
}

// largest is the number of agents of the largest domain.
func largest(app *Application) int {
	n := 1
	for _, d := range app.UpgradeDomains {
		n = max(n, len(d.Agents))
	}
	return n
}

// order returns domains by their names, as a SortOrder says.
func order(domains []UpgradeDomain, by string) ([]UpgradeDomain, error) {
	list := slices.Clone(domains)
	numeric := strings.HasSuffix(by, "Numeric")
	slices.SortFunc(list, func(a, b UpgradeDomain) int {
		if numeric {
			return cmp.Or(compareNumeric(a.Name, b.Name), strings.Compare(a.Name, b.Name))
		}
		return strings.Compare(a.Name, b.Name)
	})
	for i, d := range list {
		if d.Name == "" || i > 0 && d.Name == list[i-1].Name {
			return nil, fmt.Errorf("%w: domain %s", errInventory, strconv.Quote(d.Name))
		}
	}
	if strings.HasPrefix(by, "Reverse") {
		slices.Reverse(list)
	}
	return list, nil
}

var errInventory = errors.New("servicefabric: an upgrade domain of the inventory has no name, or that of another one")

// compareNumeric compares names so that runs of digits count as numbers: UD2 comes before UD10.
func compareNumeric(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == 0 || y == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
		if c := cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n)); c != 0 {
			return c
		}
		a, b = a[x:], b[y:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}
