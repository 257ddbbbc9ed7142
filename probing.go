package ota

import (
	"maps"
	"slices"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// A round of health questions asks every agent of the soaking batch that succeeded. With Soak.ToEnd
// it also asks a sample of the agents of earlier batches. While the next batch has not begun, a
// round asks a sample of the batch before. Rounds are in memory: a new owner asks again, so only
// questions that it asked itself count.

// probing is what the owner knows from its rounds.
type probing struct {
	batch    int   // the watched batch
	rounds   int   // completed since the batch finished
	started  int64 // when the current or last round began
	finished int64 // when the last round was completed
	active   bool
	out      int // open questions

	// The agents that the current round asks next, in this order: agents of sampled batches that
	// did not answer, other agents of these batches, and the agents from ordinal next to end.
	again     []int
	low, high int // the ordinals of the sampled batches
	sample    int // how many of them are still to be asked; they are taken in turn
	next, end int

	turn     int             // ordinal in the sampled batches that is asked next
	answered []uint64        // bits, by ordinal in the watched batch: a healthy answer since the success
	silent   map[int]silence // by ordinal: agents without an answer to the last question
	unproven int             // of silent: agents without a healthy answer since their success
}

// silence is an agent that was asked and has not answered.
type silence struct {
	agent  string
	misses int  // questions in a row without an answer
	proven bool // it has given a healthy answer since its success, or its batch has passed
	late   bool // a straggler that succeeded after its batch had closed
}

// beginSoak forgets what is known of the agents of a batch that soaks now. What is known of earlier
// batches remains, for Soak.ToEnd.
func (pr *probing) beginSoak(b *batch) {
	maps.DeleteFunc(pr.silent, func(o int, x silence) bool { return o >= b.First && !x.late })
	late := 0
	for o, x := range pr.silent {
		if x.late {
			late++
			continue
		}
		x.proven = true
		pr.silent[o] = x
	}
	*pr = probing{batch: b.Index, out: pr.out, turn: pr.turn, silent: pr.silent, unproven: late}
}

// watched returns the batch whose health counts: the current one while it soaks, or the one before
// while the current one has not begun. It is -1 if there is none.
func (s *state) watched() int {
	b := s.current()
	switch {
	case b == nil || !s.calls.prober:
		return -1
	case b.Status == BatchPending:
		return b.Index - 1
	case b.Status == BatchSoaking:
		return b.Index
	default:
		return -1
	}
}

// probe continues a round of health questions, or begins one that is due. It returns when the next
// round is due.
func (s *state) probe(now int64) (n need, due int64) {
	i := s.watched()
	if i < 0 || !s.calls.asks() || s.p.Ambient { // in an outage, answers say nothing
		return need{}, 0
	}
	b := s.batch(i)
	if b == nil {
		return need{kind: needBatch, from: i}, 0
	}
	pr, every := &s.probing, s.c.Policy.Soak.interval()
	if pr.batch != i { // a new owner, or an earlier batch was reopened by a retry meanwhile
		pr.beginSoak(b)
	}
	if !pr.active {
		if due := pr.started + every; pr.started != 0 && now < due {
			return need{}, due
		}
		s.beginRound(b, now)
	}
	for ordinal, more := pr.peek(); more && pr.out < s.c.Policy.at(i).concurrency; ordinal, more = pr.peek() {
		r := s.rows.at(ordinal)
		if r == nil {
			return need{kind: needPage, from: ordinal}, 0
		}
		pr.advance()
		s.askHealth(r)
	}
	if _, more := pr.peek(); !more && pr.out == 0 {
		pr.active, pr.finished = false, now
		pr.rounds++
		s.change.again = true // the barriers have to be evaluated again
		return need{}, pr.started + every
	}
	return need{}, 0
}

// beginRound decides which agents a round asks.
func (s *state) beginRound(b *batch, now int64) {
	pr, soak := &s.probing, s.c.Policy.Soak
	pr.active, pr.started, pr.again = true, now, nil
	pr.low, pr.high, pr.next, pr.end = b.First, b.First, b.First, b.First+b.Size
	if b.Status != BatchSoaking {
		pr.high, pr.next = pr.end, pr.end
	}
	if soak.ToEnd {
		pr.low = 0
	}
	pr.sample = soak.sample(pr.high - pr.low)
	if pr.sample > 0 && (pr.turn < pr.low || pr.turn >= pr.high) {
		pr.turn = pr.low + int(jitterOf(s.id, "", 0, 0)%uint64(pr.high-pr.low))
	}
	maps.DeleteFunc(pr.silent, func(o int, x silence) bool { return o < pr.low && !x.late })
	for _, o := range slices.Sorted(maps.Keys(pr.silent)) {
		if o < pr.high || pr.silent[o].late {
			pr.again = append(pr.again, o)
		}
	}
}

// peek returns the ordinal to ask next.
func (pr *probing) peek() (ordinal int, more bool) {
	switch {
	case len(pr.again) > 0:
		return pr.again[0], true
	case pr.sample > 0:
		return pr.turn, true
	default:
		return pr.next, pr.next < pr.end
	}
}

// advance goes on to the next ordinal.
func (pr *probing) advance() {
	switch {
	case len(pr.again) > 0:
		pr.again = pr.again[1:]
	case pr.sample > 0:
		pr.sample--
		if pr.turn++; pr.turn == pr.high {
			pr.turn = pr.low
		}
	default:
		pr.next++
	}
}

// stale reports whether the next batch must not begin on what is known of the batch before.
func (s *state) stale(now int64) bool {
	b := s.current()
	return b != nil && b.Status == BatchPending && b.Index > 0 &&
		(s.probing.batch != b.Index-1 || s.probing.rounds == 0 || now > s.probing.finished+s.c.Policy.Soak.interval())
}

// needsFrom returns the lowest ordinal whose row the round still needs; done if it needs none.
func (pr *probing) needsFrom(done int) int {
	if o, more := pr.peek(); pr.active && more {
		return min(o, done)
	}
	return done
}

// askHealth asks an agent if it succeeded and its health counts.
func (s *state) askHealth(r *cachedRow) {
	if r.State.Status != TaskSucceeded || r.is(agentReleased) || r.probing {
		return
	}
	if !s.isProven(r) {
		s.probing.note(r.Ordinal, silence{agent: r.Agent.ID, late: r.is(agentStraggler)})
	}
	i := r.State.tasks() - 1
	s.setProbing(r, true)
	s.asks = append(s.asks, ask{kind: askProbe, ordinal: r.Ordinal, task: i, number: r.State.task(i).Number})
}

// setProbing counts the agents with an open question about their health.
func (s *state) setProbing(r *cachedRow, on bool) {
	switch {
	case r.probing == on:
		return
	case on:
		s.probing.out++
	default:
		s.probing.out--
	}
	s.rows.setProbing(r, on)
}

// isProven reports whether nothing has to wait for an answer of the agent: it has given a healthy
// one since its success, or it was not changed, or its batch has passed.
func (s *state) isProven(r *cachedRow) bool {
	b := s.current()
	if r.is(agentStraggler) {
		return false
	}
	return b == nil || r.Batch != b.Index || !r.is(agentChanged) || s.probing.has(r.Ordinal-b.First)
}

// has reports whether an agent of the watched batch has given a healthy answer since its success.
func (pr *probing) has(i int) bool {
	return i/64 < len(pr.answered) && pr.answered[i/64]&(1<<(i%64)) != 0
}

// note records that an agent has not answered, unless that is known.
func (pr *probing) note(ordinal int, x silence) {
	if _, ok := pr.silent[ordinal]; ok {
		return
	}
	if pr.silent == nil {
		pr.silent = map[int]silence{}
	}
	pr.silent[ordinal] = x
	if !x.proven {
		pr.unproven++
	}
}

// forget removes an agent that has answered, or has failed.
func (pr *probing) forget(ordinal int) {
	if x, ok := pr.silent[ordinal]; ok {
		delete(pr.silent, ordinal)
		if !x.proven {
			pr.unproven--
		}
	}
}

// heard records an answer of the Prober or a report. After an unhealthy one, the agent has to prove
// itself again.
func (s *state) heard(r *cachedRow, healthy bool) {
	pr, b := &s.probing, s.current()
	pr.forget(r.Ordinal)
	if healthy {
		s.setFlag(r, agentStraggler, false)
	}
	if b == nil || r.Batch != b.Index || pr.batch != b.Index || b.Status != BatchSoaking {
		return
	}
	if pr.answered == nil {
		pr.answered = make([]uint64, (b.Size+63)/64)
	}
	i := r.Ordinal - b.First
	if bit := uint64(1) << (i % 64); healthy {
		pr.answered[i/64] |= bit
	} else {
		pr.answered[i/64] &^= bit
	}
}

// missed records a question without an answer. Soak.Misses of them in a row count as an unhealthy
// answer.
func (s *state) missed(r *cachedRow, at int64) {
	if r.State.Status != TaskSucceeded { // it has failed since the question
		return
	}
	pr := &s.probing
	pr.note(r.Ordinal, silence{agent: r.Agent.ID, proven: s.isProven(r), late: r.is(agentStraggler)})
	x := pr.silent[r.Ordinal]
	x.misses++
	pr.silent[r.Ordinal] = x
	if most := s.c.Policy.Soak.misses(); most > 0 && x.misses >= most {
		x.misses = 0
		pr.silent[r.Ordinal] = x
		s.health(r, false, at, ReasonSilent, cleanLine("no answer to "+plural.Count(most, "question/in a row")))
	}
}

// silentNames names the first agents of the watched batch without a healthy answer.
func (pr *probing) silentNames() string {
	return firstNames(func(yield func(string) bool) {
		for _, o := range slices.Sorted(maps.Keys(pr.silent)) {
			if x := pr.silent[o]; !x.proven && !yield(x.agent) {
				return
			}
		}
	})
}
