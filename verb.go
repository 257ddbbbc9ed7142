package ota

import "slices"

// Verb is a command to a plan.
type Verb uint8

// The verbs.
const (
	VerbStart Verb = iota + 1
	VerbPause
	VerbResume
	VerbCancel
	VerbPromote
	VerbSkip
	VerbRetry
	VerbEdit
	VerbAnnotate
	VerbCreateRollback
	VerbRollback
	VerbGiveUp
	VerbNow
)

var verbs = enum[Verb]{"verb", []string{
	"none", "start", "pause", "resume", "cancel", "promote", "skip", "retry", "edit", "annotate",
	"create_rollback", "rollback", "give_up", "now",
}}

// transitions is the published table: which verb is legal in which status, and the status that
// follows at once. If more than one status may follow, the first is for a plan with nothing in
// flight. Repeating a verb that already took effect succeeds and changes nothing; such pairs are
// not in this table.
var transitions = map[Status]map[Verb][]Status{
	StatusPending: {
		VerbStart:    {StatusRunning},
		VerbCancel:   {StatusCanceled},
		VerbEdit:     {StatusPending},
		VerbSkip:     {StatusPending},
		VerbPromote:  {StatusPending},
		VerbAnnotate: {StatusPending},
	},
	StatusRunning: {
		VerbPause:          {StatusPaused, StatusPausing},
		VerbCancel:         {StatusCanceled, StatusCanceling},
		VerbEdit:           {StatusRunning},
		VerbPromote:        {StatusRunning},
		VerbSkip:           {StatusRunning},
		VerbRetry:          {StatusRunning},
		VerbAnnotate:       {StatusRunning},
		VerbCreateRollback: {StatusPaused, StatusPausing},
		VerbRollback:       {StatusRollingBack},
		VerbGiveUp:         {StatusRunning},
		VerbNow:            {StatusRunning},
	},
	StatusPausing: {
		VerbResume:         {StatusRunning},
		VerbCancel:         {StatusCanceling},
		VerbEdit:           {StatusPausing},
		VerbPromote:        {StatusPausing},
		VerbSkip:           {StatusPausing},
		VerbRetry:          {StatusPausing},
		VerbAnnotate:       {StatusPausing},
		VerbCreateRollback: {StatusPausing},
		VerbRollback:       {StatusRollingBack},
		VerbGiveUp:         {StatusPausing},
		VerbNow:            {StatusPausing},
	},
	StatusPaused: {
		VerbResume:         {StatusRunning},
		VerbCancel:         {StatusCanceled, StatusCanceling},
		VerbEdit:           {StatusPaused},
		VerbPromote:        {StatusPaused},
		VerbSkip:           {StatusPaused},
		VerbRetry:          {StatusPaused},
		VerbAnnotate:       {StatusPaused},
		VerbCreateRollback: {StatusPaused},
		VerbRollback:       {StatusRollingBack},
		VerbGiveUp:         {StatusPaused},
		VerbNow:            {StatusPaused},
	},
	StatusCanceling: {
		VerbCancel:         {StatusCanceling},
		VerbAnnotate:       {StatusCanceling},
		VerbCreateRollback: {StatusCanceling},
		VerbRollback:       {StatusRollingBack},
		VerbGiveUp:         {StatusCanceling},
	},
	StatusCanceled: {
		VerbAnnotate:       {StatusCanceled},
		VerbCreateRollback: {StatusCanceled},
		VerbRollback:       {StatusRollingBack},
	},
	StatusCompleted: {
		VerbAnnotate:       {StatusCompleted},
		VerbCreateRollback: {StatusCompleted},
		VerbRollback:       {StatusRollingBack},
	},
	StatusRollingBack: {
		VerbCancel:   {StatusCanceled, StatusCanceling},
		VerbAnnotate: {StatusRollingBack},
		VerbGiveUp:   {StatusRollingBack},
	},
	StatusRolledBack: {
		VerbAnnotate: {StatusRolledBack},
	},
}

// LegalVerbs returns the verbs that are legal in status s, in a fixed order. Repeating a verb that
// already took effect, such as Pause of a paused plan, also succeeds, but is not listed.
// Explanation.Legal has the verbs that one plan accepts.
func LegalVerbs(s Status) []Verb {
	legal := make([]Verb, 0, len(transitions[s]))
	for v := range transitions[s] {
		legal = append(legal, v)
	}
	slices.Sort(legal)
	return legal
}
