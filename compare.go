package ota

import (
	"fmt"
	"slices"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// A group to compare with is agents that the plan has not begun. They are asked in every round too,
// and once more when agents fail too often. If they are sick as well, the failures are not the
// release's fault: the plan pauses, and the agents that failed are judged again.
//
// The members are in Progress, so that a new owner compares with the same agents. They were healthy
// when they joined: agents that are always sick would look like an outage.

// comparison is what the owner knows of the group, besides its members.
type comparison struct {
	known   map[int]*compared // agents that were asked, by ordinal: members and candidates
	turn    int               // how many candidates were tried
	queue   []int             // the agents that the round asks next
	active  bool              // a round is under way
	started int64             // when the current or last round began
	fresh   bool              // that round began after the breach that waits for it
	out     int               // open questions
	asked   int               // members with an answer, or without one, to the round
	sick    int               // of these
	cursor  int               // of judgeAgain
}

// compared is an agent that was asked.
type compared struct {
	row agentRow
	out bool
}

// ambient reports whether so many members are sick that the release is not to blame.
func (g *comparison) ambient() bool { return g.asked >= minGroup && g.sick >= max(2, (g.asked+3)/4) }

// compares returns how many agents the plan compares with; 0: none.
func (s *state) compares() int {
	if !s.calls.prober || s.spec.Source != "" {
		return 0
	}
	return s.c.Policy.Soak.compare()
}

// compare continues a round of questions to the group, or begins one that is due, and acts on its
// answers. It returns when the next round is due.
func (s *state) compare(now int64) (n need, due int64) {
	p, g := &s.p, &s.group
	if s.compares() == 0 && p.Undecided == 0 && !p.Ambient || !canBreach(s.status()) {
		return need{}, 0
	}
	if p.Undecided != 0 && !waitsForGroup(&s.c, p) { // a person has resumed the plan
		p.Undecided, s.change.again = 0, true
	}
	if s.compares() == 0 || p.Ambient && s.openBreach(ambientBreach) == nil {
		return s.compareNoMore(now), 0
	}
	if !g.active {
		if due, begins := s.compareDue(now); !begins {
			return need{}, due
		}
		s.beginCompare(now)
	}
	if n := s.askGroup(); n.kind != needNothing {
		return n, 0
	}
	if len(g.queue) == 0 && g.out == 0 {
		return s.endCompare(now), 0
	}
	return need{}, 0
}

// compareNoMore ends what waits for the group: a person has resumed the plan, or it compares with
// no group any more.
func (s *state) compareNoMore(now int64) need {
	if s.p.Ambient {
		if n, done := s.judgeAgain(now, now); !done {
			return n
		}
		s.p.Ambient, s.change.again = false, true
		s.event(Event{Kind: EventHealth, Batch: -1, Reason: ReasonAmbient, Text: "the plan was resumed, or compares with no group any more"})
	}
	if s.compares() == 0 {
		s.decideBreach("there is no group to compare with")
	}
	return need{}
}

// compareDue reports whether a round is to begin, or when the next one is due.
func (s *state) compareDue(now int64) (due int64, begins bool) {
	g := &s.group
	switch {
	case !s.calls.asks():
		return 0, false
	case s.p.Undecided != 0:
		return 0, true
	case s.p.Ambient:
		due = g.started + s.c.Policy.Soak.interval()
		return due, g.started == 0 || now >= due
	case g.started == 0:
		return 0, s.status() == StatusRunning
	default:
		return 0, s.probing.active && s.probing.started > g.started
	}
}

// beginCompare decides which agents a round asks: the members, and candidates for those missing.
func (s *state) beginCompare(now int64) {
	g := &s.group
	g.active, g.started, g.fresh, g.asked, g.sick = true, now, s.p.Undecided != 0, 0, 0
	g.queue = append(g.queue[:0], s.p.Group...)
	from, to := s.candidates()
	for range min(s.compares()-len(s.p.Group), to-from) {
		// The steps visit every candidate once, far from each other.
		seed := int(jitterOf(s.id, "", -1, 0) % uint64(to-from))
		o := from + (seed+g.turn%(to-from)*stride(to-from))%(to-from)
		g.turn++
		if !slices.Contains(g.queue, o) {
			g.queue = append(g.queue, o)
		}
	}
}

// candidates returns the ordinals of agents that may join: those of the later half of the plan,
// because the plan begins them last.
func (s *state) candidates() (from, to int) {
	to = s.spec.Agents
	b := s.current()
	if b == nil {
		return to, to
	}
	if from = (b.First + b.Size + to) / 2; to-from < s.compares() {
		from = min(b.First+b.Size, max(to-s.compares(), b.First))
		from = max(min(from, to-s.compares()), b.Cursor)
	}
	return min(from, to), to
}

// stride returns a step through n ordinals that visits each of them once.
func stride(n int) int {
	k := max(n*5/8, 1)
	for common(k, n) != 1 {
		k++
	}
	return k
}

// common returns the greatest common divisor.
func common(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// askGroup asks the agents of the round, all at once: the action of a breach waits for them.
func (s *state) askGroup() need {
	g := &s.group
	for ; len(g.queue) > 0; g.queue = g.queue[1:] {
		o := g.queue[0]
		x := g.known[o]
		if x == nil {
			r := s.rows.at(o)
			if r == nil {
				return need{kind: needRow, from: o}
			}
			x = &compared{row: *r.agentRow}
		}
		if !s.calls.asks() {
			return need{}
		}
		if x.out || !x.row.State.fresh() {
			continue
		}
		if g.known == nil {
			g.known = map[int]*compared{}
		}
		g.known[o], x.out = x, true
		g.out++
		s.asks = append(s.asks, ask{kind: askProbe, ordinal: o, compared: &x.row})
	}
	return need{}
}

// foldCompared folds the answer of an agent that the plan has not begun.
func (s *state) foldCompared(a *probeAnswer) {
	g := &s.group
	x := g.known[a.ordinal]
	if x == nil || !x.out {
		return // the plan has begun it, or was loaded again since the question
	}
	x.out = false
	g.out--
	at, member := slices.BinarySearch(s.p.Group, a.ordinal)
	switch healthy := a.known && a.healthy; {
	case member:
		g.asked++
		if !healthy {
			g.sick++
		}
	case healthy && len(s.p.Group) < s.compares():
		s.p.Group = slices.Insert(slices.Clone(s.p.Group), at, a.ordinal) // the last commit refers to the old one
	default:
		delete(g.known, a.ordinal)
	}
}

// leaveGroup takes an agent out of the group, because the plan begins it or has ended it.
func (s *state) leaveGroup(ordinal int) {
	if x := s.group.known[ordinal]; x != nil {
		delete(s.group.known, ordinal)
		if x.out {
			s.group.out--
		}
	}
	if i, ok := slices.BinarySearch(s.p.Group, ordinal); ok {
		s.p.Group = slices.Delete(slices.Clone(s.p.Group), i, i+1)
	}
}

// endCompare acts on the answers of a round.
func (s *state) endCompare(now int64) need {
	g, p := &s.group, &s.p
	switch {
	case g.ambient() && p.Undecided != 0 && g.fresh:
		return s.ambientVerdict(now)
	case g.ambient(): // without a breach, nothing follows
	default:
		if p.Ambient {
			if n, done := s.judgeAgain(g.started-1, now); !done {
				return n
			}
			p.Ambient = false
			s.event(Event{Kind: EventHealth, Batch: -1, Reason: ReasonAmbient, Text: g.String() + ": it has passed"})
		}
		if len(p.Group) >= minGroup {
			p.Quiet = g.started
		}
		if g.fresh {
			s.decideBreach(g.String())
		}
	}
	g.active, s.change.again = false, true
	return need{}
}

// String has the numbers, for example "12 of 20 agents that this plan has not begun are sick".
func (g *comparison) String() string {
	return fmt.Sprintf("%d of %s that this plan has not begun %s sick", g.sick, plural.Count(g.asked, "agent"), plural.Verb(g.sick, "is", "are"))
}

// compareFirst has the action of a breach wait until the group was asked: an automatic rollback,
// and everything that follows from failures. number is that of the breach.
func (s *state) compareFirst(why Reason, action Action, number uint64) {
	if s.compares() == 0 || action != ActionRollback && !fromFailures(why) || why == ReasonAmbient {
		return
	}
	if g := &s.group; len(s.p.Group) < minGroup && !g.active || waitsForGroup(&s.c, &s.p) {
		return
	}
	s.p.Undecided = number
	s.group.fresh = false // a round that is out may have begun after an earlier breach
}

// fromFailures reports whether a breach counts failed agents.
func fromFailures(why Reason) bool {
	return why == ReasonThreshold || why == ReasonExpect || why == ReasonConsecutive
}

// decideBreach lets the action of the breaches go on that have waited for the group.
func (s *state) decideBreach(text string) {
	if s.p.Undecided == 0 {
		return
	}
	s.p.Undecided = 0
	s.change.bump = true
	s.event(Event{Kind: EventHealth, Batch: -1, Text: text})
}

// compareLimit lets nothing start while the group is asked whether the release is to blame.
func compareLimit(v *view) allowance {
	if !waitsForGroup(v.c, v.p) {
		return unlimited
	}
	return blockedBy(ReasonInquiry, 0, "asking "+plural.Count(len(v.p.Group), "agent")+" that the plan has not begun")
}

// noGroup says that a breach was not compared with other agents, although the policy asks for it.
func (v *view) noGroup(b *Breach) string {
	if !v.calls.prober || v.spec.Source != "" || v.c.Policy.Soak.compare() == 0 || !fromFailures(b.Reason) || len(v.p.Group) >= minGroup {
		return ""
	}
	return fmt.Sprintf("; no group to compare with: %s that the plan has not begun, %d are needed",
		plural.Count(len(v.p.Group), "healthy agent"), minGroup)
}
