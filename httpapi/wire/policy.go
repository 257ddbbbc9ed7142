package wire

import "github.com/seed-19b57ce3/ota"

// PolicyOf is a policy on the wire.
func PolicyOf(p *ota.Policy) Policy {
	return Policy{
		Scope: p.Scope, OnBreach: p.OnBreach, Reserve: p.Reserve, Hold: p.Hold,
		Observe: Observe{Duration(p.Observe.Wait), Duration(p.Observe.Stable), Duration(p.Observe.Retry), Duration(p.Observe.Probe), p.Observe.ToEnd},
		Retry:   Retry{p.Retry.Max, Duration(p.Retry.Backoff), Duration(p.Retry.MaxBackoff)}, AttemptLimit: Duration(p.AttemptLimit),
		QueueLimit: Duration(p.QueueLimit), OnAway: p.OnAway, MaxAbandoned: p.MaxAbandoned,
		Windows: windowsOf(p.Windows), BatchLimit: Duration(p.BatchLimit), PlanLimit: Duration(p.PlanLimit), MaxConsecutive: p.MaxConsecutive,
		Rate: Rate{p.Rate.Starts, Duration(p.Rate.Per)}, Gate: Gate{Duration(p.Gate.Every), p.Gate.MaxInconclusive, p.Gate.MaxErrors},
		Halve: p.Halve, Budget: p.Budget,
	}
}

func windowsOf(list []ota.Window) []Window {
	var out []Window
	for _, w := range list {
		out = append(out, Window{w.Days, Duration(w.Start), Duration(w.Length), w.Zone, Duration(w.Margin)})
	}
	return out
}
