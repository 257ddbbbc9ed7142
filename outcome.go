package ota

import (
	"hash/fnv"
	"strconv"
	"time"
)

// outcome is how a call of the Executor ended.
type outcome struct {
	ordinal      int
	agent        string
	task         int
	number       uint32
	at           int64 // when it ended, Unix nanoseconds
	reason       Reason
	after        time.Duration // of ReasonThrottled: how long to wait
	unchanged    bool          // the call certainly did not change the agent
	repeat       bool          // the call repeated one that a crash had lost
	abandoned    bool          // the call was abandoned and has not returned
	returnedLate bool          // the call was abandoned earlier and has returned now
	version      cleaned       // as the agent reports it
	text         cleaned       // an error or a message
}

// transition is what an outcome does to its task.
type transition struct {
	status   TaskStatus
	why      Reason
	due      int64 // of TaskWaiting: when the next attempt is due
	tried    bool  // it counts as a try
	changed  bool  // the agent may have been changed
	freeSlot bool  // the agent gives up its slot while it waits
}

// attemptsBefore is what is known of an agent before an outcome of one of its tasks.
type attemptsBefore struct {
	changed     bool // the agent may have been changed already
	taskChanged bool // this task may have changed it already
	partly      bool // one of its tasks has succeeded
	oldVersion  bool // the outcome reports the version that the agent had before the plan
}

// outcomeTable is the table outcome × tries → transition.
func (p *Policy) outcomeTable(o *outcome, t *taskState, target string, was attemptsBefore, jitter uint64) transition {
	// the lost call that a repeat repeats may have changed the agent
	sure := o.unchanged && !o.repeat
	switch o.reason {
	case ReasonSucceeded:
		switch {
		case !o.wrongVersion(target):
		case was.oldVersion: // it is not done yet
			return p.tryAgain(ReasonWrongVersion, o, t, !sure, jitter)
		default:
			return transition{status: TaskFailed, why: ReasonWrongVersion, changed: true}
		}
		if sure && !was.taskChanged {
			return transition{status: TaskSucceeded, why: ReasonAtTarget}
		}
		return transition{status: TaskSucceeded, why: ReasonSucceeded, changed: true}
	case ReasonError, ReasonTimeout:
		return p.tryAgain(o.reason, o, t, !sure, jitter)
	case ReasonUnreachable, ReasonThrottled:
		was.changed, was.taskChanged = was.changed || o.repeat, was.taskChanged || o.repeat
		return p.unreachableOutcome(o, t, was, jitter)
	case ReasonBlocked:
		return transition{status: TaskSkipped, why: o.reason}
	case ReasonInterrupted:
		return transition{status: TaskUnknown, why: ReasonInterrupted, changed: true}
	default: // permanent, rejected, panic, abandoned
		return transition{status: TaskFailed, why: o.reason, changed: !sure}
	}
}

// tryAgain is the part of the table for a failure that another try may mend.
func (p *Policy) tryAgain(why Reason, o *outcome, t *taskState, changed bool, jitter uint64) transition {
	if int(t.Tries) >= p.Retry.Max {
		return transition{status: TaskFailed, why: why, changed: changed}
	}
	wait := p.Retry.wait(int(t.Tries), jitter)
	return transition{status: TaskWaiting, why: why, due: o.at + int64(wait), tried: true, changed: changed}
}

// wrongVersion reports whether a success reports another version than the target.
func (o *outcome) wrongVersion(target string) bool {
	return o.reason == ReasonSucceeded && o.version != "" && string(o.version) != target
}

// unreachableOutcome is the part of the table for an agent that does not answer. Only such an
// answer makes the plan give up, never a timer. So no agent fails because its plan was paused over
// a weekend.
func (p *Policy) unreachableOutcome(o *outcome, t *taskState, was attemptsBefore, jitter uint64) transition {
	since := o.at
	if t.More != nil && t.More.UnreachableSince != 0 {
		since = t.More.UnreachableSince
	}
	absent := time.Duration(o.at - since)
	if p.UnreachableTimeout != NoTimeout && absent >= p.UnreachableTimeout {
		if p.OnUnreachable == UnreachableSkipped && !was.changed {
			return transition{status: TaskSkipped, why: o.reason}
		}
		return transition{status: TaskFailed, why: o.reason, changed: was.taskChanged}
	}
	wait := o.after
	if wait == 0 {
		// Waiting as long as the agent has been away so far doubles the wait each time, without a
		// counter.
		wait = spread(min(max(absent, time.Second), time.Minute), jitter)
	}
	return transition{
		status: TaskWaiting, why: o.reason, due: o.at + int64(wait),
		changed: was.taskChanged, freeSlot: !was.changed && !was.partly,
	}
}

// wait returns the wait before the retry that follows this number of tries.
func (r RetryPolicy) wait(tries int, jitter uint64) time.Duration {
	d := r.Backoff
	for range tries {
		d *= 2
		if d > maxDuration || r.MaxBackoff > 0 && d > r.MaxBackoff {
			break
		}
	}
	if r.MaxBackoff > 0 {
		d = min(d, r.MaxBackoff)
	}
	return spread(min(d, maxDuration), jitter)
}

// spread shortens d by up to half.
func spread(d time.Duration, jitter uint64) time.Duration {
	return d - time.Duration(float64(d/2)*(float64(jitter>>11)/(1<<53)))
}

// jitterOf hashes an attempt. Waits differ between agents, and every engine computes the same.
func jitterOf(plan, agent string, task int, number uint32) uint64 {
	h := fnv.New64a()
	h.Write([]byte(plan))
	h.Write([]byte(agent))
	h.Write(strconv.AppendUint(strconv.AppendInt(nil, int64(task), 10), uint64(number), 10))
	return h.Sum64()
}

func (o *outcome) key() callKey { return callKey{o.ordinal, o.task, o.number} }

// callKey names one call of a plan: the agent's ordinal, the task, and the number of the attempt.
type callKey struct {
	ordinal int
	task    int
	number  uint32
}

// shows reports whether the agent's state already shows this outcome.
func (a *agentState) shows(o *outcome, target string) bool {
	if o.task >= a.tasks() {
		return false
	}
	t := a.task(o.task)
	switch {
	case t.Number != o.number:
		return false
	case o.reason != ReasonSucceeded:
		return t.Why == o.reason
	case o.wrongVersion(target):
		return t.Why == ReasonWrongVersion && t.More != nil && t.More.Version == string(o.version)
	default:
		return t.Status == TaskSucceeded
	}
}
