package ota

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An enumeration is a type, its constants, and one table: the word of value v is words[v]. The word
// is the same in Go, in JSON, in logs and in errors. The methods of all enumerations are below, so
// that the file of each shows only its constants and its words. Reason has a table of its own,
// because its numbers have gaps and each word has a sentence.

// enum is the table of an enumeration.
type enum[T ~uint8] struct {
	name  string // of the enumeration, for errors
	words []string
}

// word returns the word of v, or its number when v is no constant of the enumeration.
func (e enum[T]) word(v T) string {
	if int(v) < len(e.words) {
		return e.words[v]
	}
	return strconv.Itoa(int(v))
}

func (e enum[T]) marshal(v T) ([]byte, error) { return []byte(e.word(v)), nil }

// unmarshal sets v to the value of a word. Only the words of the table are accepted.
func (e enum[T]) unmarshal(b []byte, v *T) error {
	i := slices.Index(e.words, string(b))
	if i < 0 {
		return fmt.Errorf("ota: unknown %s %q, want one of %v", e.name, b, e.words)
	}
	*v = T(i)
	return nil
}

// check adds a mistake when v is no constant of the enumeration.
func (e enum[T]) check(m *mistakes, field string, v T) {
	if int(v) >= len(e.words) {
		m.add(field, e.word(v), "is unknown", strings.Join(e.words, ", "))
	}
}

// String returns the status as it is written on the wire, for example "rolling_back".
func (s Status) String() string { return statuses.word(s) }

// MarshalText returns what String returns.
func (s Status) MarshalText() ([]byte, error) { return statuses.marshal(s) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (s *Status) UnmarshalText(b []byte) error { return statuses.unmarshal(b, s) }

// String returns "time", "person" or "engine".
func (n Needs) String() string { return needs.word(n) }

// MarshalText returns what String returns.
func (n Needs) MarshalText() ([]byte, error) { return needs.marshal(n) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (n *Needs) UnmarshalText(b []byte) error { return needs.unmarshal(b, n) }

// String returns "limits", "batches" or "all".
func (i Inherit) String() string { return inherits.word(i) }

// MarshalText returns what String returns.
func (i Inherit) MarshalText() ([]byte, error) { return inherits.marshal(i) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (i *Inherit) UnmarshalText(b []byte) error { return inherits.unmarshal(b, i) }

// String returns "none", "partial" or "all".
func (c Coverage) String() string { return coverages.word(c) }

// MarshalText returns what String returns.
func (c Coverage) MarshalText() ([]byte, error) { return coverages.marshal(c) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (c *Coverage) UnmarshalText(b []byte) error { return coverages.unmarshal(b, c) }

// String returns the status as it is written on the wire, for example "observing".
func (s BatchStatus) String() string { return batchStatuses.word(s) }

// MarshalText returns what String returns.
func (s BatchStatus) MarshalText() ([]byte, error) { return batchStatuses.marshal(s) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (s *BatchStatus) UnmarshalText(b []byte) error { return batchStatuses.unmarshal(b, s) }

// String returns the status as it is written on the wire, for example "succeeded".
func (s TaskStatus) String() string { return taskStatuses.word(s) }

// MarshalText returns what String returns.
func (s TaskStatus) MarshalText() ([]byte, error) { return taskStatuses.marshal(s) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (s *TaskStatus) UnmarshalText(b []byte) error { return taskStatuses.unmarshal(b, s) }

// String returns the verb as it is written on the wire, for example "create_rollback".
func (v Verb) String() string { return verbs.word(v) }

// MarshalText returns what String returns.
func (v Verb) MarshalText() ([]byte, error) { return verbs.marshal(v) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (v *Verb) UnmarshalText(b []byte) error { return verbs.unmarshal(b, v) }

// String returns the kind as it is written on the wire, for example "task_started".
func (k EventKind) String() string { return eventKinds.word(k) }

// MarshalText returns what String returns.
func (k EventKind) MarshalText() ([]byte, error) { return eventKinds.marshal(k) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (k *EventKind) UnmarshalText(b []byte) error { return eventKinds.unmarshal(b, k) }

// String returns "batch" or "plan".
func (s Scope) String() string { return scopes.word(s) }

// MarshalText returns what String returns.
func (s Scope) MarshalText() ([]byte, error) { return scopes.marshal(s) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (s *Scope) UnmarshalText(b []byte) error { return scopes.unmarshal(b, s) }

// String returns "pause", "rollback" or "continue".
func (a Action) String() string { return actions.word(a) }

// MarshalText returns what String returns.
func (a Action) MarshalText() ([]byte, error) { return actions.marshal(a) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (a *Action) UnmarshalText(b []byte) error { return actions.unmarshal(b, a) }

// String returns "fail" or "skip".
func (a UnreachableAction) String() string { return unreachableActions.word(a) }

// MarshalText returns what String returns.
func (a UnreachableAction) MarshalText() ([]byte, error) { return unreachableActions.marshal(a) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (a *UnreachableAction) UnmarshalText(b []byte) error { return unreachableActions.unmarshal(b, a) }

// String returns "unavailable" or "open".
func (o BudgetOf) String() string { return budgetOfs.word(o) }

// MarshalText returns what String returns.
func (o BudgetOf) MarshalText() ([]byte, error) { return budgetOfs.marshal(o) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (o *BudgetOf) UnmarshalText(b []byte) error { return budgetOfs.unmarshal(b, o) }

// String returns "ready", "at_target", "blocked" or "away".
func (s PrecheckState) String() string { return precheckStates.word(s) }

// MarshalText returns what String returns.
func (s PrecheckState) MarshalText() ([]byte, error) { return precheckStates.marshal(s) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (s *PrecheckState) UnmarshalText(b []byte) error { return precheckStates.unmarshal(b, s) }

// String returns "fails", "hangs" or "unhealthy".
func (k HarmKind) String() string { return harmKinds.word(k) }

// MarshalText returns what String returns.
func (k HarmKind) MarshalText() ([]byte, error) { return harmKinds.marshal(k) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (k *HarmKind) UnmarshalText(b []byte) error { return harmKinds.unmarshal(b, k) }
