package ota

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// The sentinels. Each error of this package matches at most one of them with errors.Is, through all
// wrappers.
var (
	// ErrNotFound means that there is no such plan, batch or agent.
	ErrNotFound = errors.New("ota: not found")
	// ErrExists means that another plan has this ID or this request key.
	ErrExists = errors.New("ota: already exists")
	// ErrConflict means that a number compared by a commit, or by a caller's precondition, is not
	// the present one.
	ErrConflict = errors.New("ota: changed in the meantime by another caller")
	// ErrFenced means that another engine owns the plan now; this engine can write nothing to it.
	ErrFenced = errors.New("ota: another engine owns the plan")
	// ErrRefused means that the Store will never make a write, however often it is tried, and has
	// changed nothing. The write breaks a rule of the Store, for example with a text that its
	// database cannot keep.
	ErrRefused = errors.New("ota: the store refuses the write for good")

	// ErrState means that the plan's present status forbids the verb; see StateError.
	ErrState = errors.New("ota: the plan's state forbids it")
	// ErrBreach means that a breach is open and Resume needs a decision; see BreachError.
	ErrBreach = errors.New("ota: a breach is open")
	// ErrClaimed means that agents belong to another plan; see ClaimError.
	ErrClaimed = errors.New("ota: agents belong to another plan")
	// ErrNothing means that there is nothing to roll back. Its text has the reason: the plan has
	// changed no agent, no earlier version is known, or a later plan has changed the agents.
	ErrNothing = errors.New("ota: nothing to roll back")
	// ErrAbandoned means that calls of the Executor had not returned when Run or RunPlan returned;
	// see AbandonedError.
	ErrAbandoned = errors.New("ota: calls were abandoned")
)

// operationError is an error of one operation on a plan. Its text begins with the name of this
// package. The wrapped errors do not repeat that name.
type operationError struct {
	operation string
	err       error
}

// wrapError adds an operation, for example "start plan p", to an error. All errors of the engine
// that wrap another error go through it.
func wrapError(err error, format string, args ...any) error {
	return &operationError{fmt.Sprintf(format, args...), err}
}

func (e *operationError) Error() string { return packageName + e.operation + ": " + plainText(e.err) }

func (e *operationError) Unwrap() error { return e.err }

// packageName is how the text of an error begins.
const packageName = "ota: "

// plainText is the text of an error without the name of this package, which errors add at the
// beginning of their text.
func plainText(err error) string {
	text := strings.TrimPrefix(err.Error(), packageName)
	for _, before := range []string{": ", "; ", "\n", "("} {
		text = strings.ReplaceAll(text, before+packageName, before)
	}
	return text
}

// named adds an operation and its plan to an error whose text does not name the plan. Such errors
// are mistakes in a field, and errors of the Store.
func named(err error, operation, plan string) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); strings.HasPrefix(text, packageName) && strings.Contains(text, plan) && packageName+plainText(err) == text {
		return err
	}
	return wrapError(err, "%s plan %s", operation, plan)
}

// StateError means that a verb is illegal in the plan's present status. It matches ErrState.
type StateError struct {
	Plan string
	Verb Verb
	Have Status
	// Legal are the verbs that are possible now. Each is accepted, unless another plan has claimed
	// its agents.
	Legal []Verb
	// Hint has details of this case, for example which batch may be promoted; may be empty.
	Hint string
}

func (e *StateError) Error() string {
	s := fmt.Sprintf("ota: %s is not possible while plan %s is %s", e.Verb, e.Plan, e.Have)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	if len(e.Legal) == 0 {
		return s
	}
	words := make([]string, len(e.Legal))
	for i, v := range e.Legal {
		words[i] = v.String()
	}
	return s + "; possible now: " + strings.Join(words, ", ")
}

// Is makes every StateError match ErrState.
func (e *StateError) Is(target error) bool { return target == ErrState }

// BreachError means that Resume needs a decision, and has the counts to decide on. It matches
// ErrBreach.
type BreachError struct {
	Plan   string
	Breach Breach // the oldest open one
	Failed int    // failed agents of the whole plan, now: the argument of Accept
}

func (e *BreachError) Error() string {
	var with string
	switch e.Breach.Reason {
	case ReasonThreshold:
		with = fmt.Sprintf("with Accept(%d), a raised limit, or a retry of the failed", e.Failed)
	case ReasonExpect:
		with = fmt.Sprintf("with Accept(%d), with a retry of the failed, or after an edit of expect", e.Failed)
	default:
		with = decisionsOn(e.Breach.Reason, e.Failed)
	}
	return fmt.Sprintf("ota: plan %s: %s; %s failed so far: resume %s", e.Plan, e.Breach, plural.Count(e.Failed, "agent"), with)
}

// Is makes every BreachError match ErrBreach.
func (e *BreachError) Is(target error) bool { return target == ErrBreach }

// Conflict is one agent that another plan has claimed.
type Conflict struct {
	Agent string // the agent's ID
	Plan  string // the plan with the claim
	// Engine is set when a call of Plan for the agent has not returned; Plan may have ended. It is
	// the running instance of the engine that made the call. The agent is free once the call
	// returns or that process is gone.
	Engine string `json:",omitempty"`
}

func (c Conflict) String() string { return c.of([]string{c.Agent}) }

// of is the sentence for agents with the same conflict.
func (c Conflict) of(agents []string) string {
	names := strings.Join(agents, ", ")
	switch {
	case c.Engine != "":
		return names + ": a call of plan " + c.Plan + " by engine " + c.Engine + " has not returned"
	case len(agents) > 1:
		return names + " are in " + c.Plan
	default:
		return names + " is in " + c.Plan
	}
}

// ClaimError lists agents of a plan that another plan has claimed, because that plan is active or
// because its call for the agent has not returned. It matches ErrClaimed.
type ClaimError struct {
	Plan      string
	Conflicts []Conflict // in the plan's order, at most 32
	Total     int        // how many there are
}

func (e *ClaimError) Error() string { return fmt.Sprintf("ota: plan %s: %s", e.Plan, e.text()) }

// text names the plans, and some agents of each.
func (e *ClaimError) text() string {
	var groups [][]string // of agents with the same holder, named by the first
	var holders []Conflict
	for _, c := range e.Conflicts {
		i := slices.IndexFunc(holders, func(h Conflict) bool { return h.Plan == c.Plan && h.Engine == c.Engine })
		if i < 0 {
			i = len(holders)
			holders, groups = append(holders, c), append(groups, nil)
		}
		groups[i] = append(groups[i], c.Agent)
	}
	const most = 3
	var s []string
	for i, agents := range groups {
		if i == most {
			s = append(s, "…")
			break
		}
		if len(agents) > most {
			agents = append(agents[:most:most], "…")
		}
		s = append(s, holders[i].of(agents))
	}
	return fmt.Sprintf("%s %s to another plan: %s", plural.Count(e.Total, "agent"), plural.Verb(e.Total, "belongs", "belong"), strings.Join(s, "; "))
}

// Is makes every ClaimError match ErrClaimed.
func (e *ClaimError) Is(target error) bool { return target == ErrClaimed }

// DuplicateError means that an agent is in a plan twice. A Store returns it from Create. It
// matches ErrInvalid.
type DuplicateError struct {
	Agent string
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("ota: agent %q is in the plan twice", e.Agent)
}

// Is makes every DuplicateError match ErrInvalid.
func (e *DuplicateError) Is(target error) bool { return target == ErrInvalid }

// AbandonedError counts the calls that had not returned when Run or RunPlan returned, although
// their contexts had ended. It matches ErrAbandoned.
type AbandonedError struct {
	Calls int
}

func (e *AbandonedError) Error() string {
	return fmt.Sprintf("ota: %s of the executor %s the end of its context and %s abandoned", plural.Count(e.Calls, "call"), plural.Verb(e.Calls, "ignores", "ignore"), plural.Verb(e.Calls, "was", "were"))
}

// Is makes every AbandonedError match ErrAbandoned.
func (e *AbandonedError) Is(target error) bool { return target == ErrAbandoned }

var errAtRest = errors.New("ota: the plan has come to rest")

var errSchema = errors.New("written by a newer version of this library")

// PanicError is the error of an attempt that failed by a panic in user code. Its text is the value
// and the place of the panic, for everybody who may read the plan. The whole stack goes to the
// host's Options.Logger.
type PanicError struct {
	Value any
	// Frame is the function that panicked, with its file and line, without directories; empty if
	// unknown.
	Frame string
	// Stack is that of the goroutine that panicked, with paths of the machine that built the
	// program; may be empty.
	Stack []byte
}

func (e *PanicError) Error() string {
	if e.Frame == "" {
		return fmt.Sprintf("panic: %v", e.Value)
	}
	return fmt.Sprintf("panic: %v (%s)", e.Value, e.Frame)
}

// newPanicError is for the deferred function that recovered the value.
func newPanicError(value any) *PanicError {
	return &PanicError{Value: value, Frame: panicFrame(), Stack: debug.Stack()}
}

// panicFrame names the function that panicked: the first one below those of the runtime.
func panicFrame() string {
	var room [64]uintptr
	frames := runtime.CallersFrames(room[:runtime.Callers(2, room[:])])
	for panics := false; ; {
		f, more := frames.Next()
		switch own := strings.HasPrefix(f.Function, "runtime."); {
		case own && strings.Contains(f.Function, "anic"):
			panics = true
		case panics && !own:
			return fmt.Sprintf("%s, %s:%d", path.Base(f.Function), path.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// protect turns a panic of a companion into an error.
func protect[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
	}()
	return f()
}
