package ota

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/clonetest"
)

func TestCloneSharesNothing(t *testing.T) {
	t.Run("RollbackSpec", func(t *testing.T) { clonetest.Check(t, RollbackSpec.clone) })
	t.Run("Readiness", func(t *testing.T) { clonetest.Check(t, (*Readiness).clone) })
}

const noon = int64(1_767_268_800_000_000_000) // 2026-01-01T12:00:00Z

var codecCases = []struct {
	name  string
	state agentState
}{
	{"never started", agentState{}},
	{
		"finished",
		agentState{
			Status: TaskSucceeded, Flags: agentChanged,
			Task: taskState{Status: TaskSucceeded, Why: ReasonSucceeded, Number: 1, Started: noon, Ended: noon + 95_000_000_000},
		},
	},
	{
		"waiting for its third try",
		agentState{
			Status: TaskWaiting, Flags: agentChanged | agentOpen,
			Task: taskState{
				Status: TaskWaiting, Why: ReasonBackoff, Tries: 2, Number: 300, Started: noon, Ended: noon + 1,
				More: &taskMore{Error: "no"},
			},
		},
	},
	{
		"everything",
		agentState{
			Status: TaskFailed, Flags: 0xfff,
			Task: taskState{
				Status: TaskSucceeded, Why: ReasonSucceeded, Tries: 255, Number: math.MaxUint32, Started: -1, Ended: -2,
				More: &taskMore{Version: "v9", Error: "ü", UnreachableSince: noon},
			},
			Rest: []taskState{
				{Status: TaskFailed, Why: ReasonPermanent, Number: 1, Started: 1, Ended: 2},
				{Status: TaskSkipped, Why: ReasonAgentFailed},
			},
			More: &agentMore{Previous: "v7", Unhealthy: -3},
		},
	},
	{
		"with a release, and further tasks",
		agentState{Rest: []taskState{{Number: 1}}, More: &agentMore{Previous: "v7", Unhealthy: 5, Release: "215"}},
	},
	{
		"between two tasks, of which the first changed it",
		agentState{
			Status: TaskWaiting, Flags: agentChanged | agentOpen,
			Task: taskState{Status: TaskSucceeded, Why: ReasonSucceeded, Changed: true, Number: 1, Started: 1, Ended: 2},
			Rest: []taskState{{}},
		},
	},
	{
		"times at the ends of the range",
		agentState{Task: taskState{Started: math.MinInt64, Ended: math.MaxInt64}, More: &agentMore{}},
	},
}

func TestAgentStateRoundTrip(t *testing.T) {
	for _, c := range codecCases {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.state.AppendBinary([]byte("front"))
			if err != nil {
				t.Fatal(err)
			}
			var back agentState
			if err := back.UnmarshalBinary(b[len("front"):]); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, c.state) {
				t.Errorf("got  %+v\nwant %+v", back, c.state)
			}
			for n := range len(b) - len("front") {
				if back.UnmarshalBinary(b[len("front"):][:n]) == nil {
					t.Errorf("the first %d bytes alone were accepted", n)
				}
			}
		})
	}
}

func TestAgentStateIsSmall(t *testing.T) {
	s := codecCases[1].state
	b, err := s.AppendBinary(nil)
	if err != nil || len(b) > 24 {
		t.Errorf("a finished agent takes %d bytes, want at most 24 (%v)", len(b), err)
	}
	if n := testing.AllocsPerRun(100, func() { b, _ = s.AppendBinary(b[:0]) }); n != 0 {
		t.Errorf("AppendBinary allocates %v times, want 0", n)
	}
	var back agentState
	if n := testing.AllocsPerRun(100, func() { _ = back.UnmarshalBinary(b) }); n != 0 {
		t.Errorf("UnmarshalBinary allocates %v times, want 0", n)
	}
}

func TestAgentStateRefusals(t *testing.T) {
	for _, s := range []agentState{
		{Status: TaskUnknown + 1},
		{Task: taskState{Status: TaskUnknown + 1}},
		{Rest: []taskState{{Status: TaskUnknown + 1}}},
	} {
		if b, err := s.AppendBinary([]byte("x")); err == nil || string(b) != "x" {
			t.Errorf("a status that does not exist was written: %q, %v", b, err)
		}
	}
	for name, b := range map[string]string{
		"nothing":                         "",
		"schema 0":                        "000000000000",
		"another schema":                  "030000000000",
		"schema 2 without a release":      "020000000000",
		"schema 2 with an empty release":  "02000040000000" + "00" + "00",
		"an unknown status":               "010800000000",
		"an unknown status of a task":     "010000000800",
		"unknown parts of a task":         "01000080000001400000",
		"more than was written":           "01000000000000",
		"a count too high":                "010000800000ffffffff0f",
		"a count of none":                 "01000080000000",
		"a text too long":                 "010000400000ffffffffffffffffff0161",
		"a number too large":              "0100000200008080808010",
		"a number that is there and zero": "01000002000000",
		"a number that is too long":       "0100000200008100",
		"the form before the first tag":   "010301000e03800180808cea86e7cc863180d887e7c305",
	} {
		raw, err := hex.DecodeString(b)
		if err != nil {
			t.Fatal(err)
		}
		s := agentState{Flags: agentOpen}
		if err := s.UnmarshalBinary(raw); err == nil {
			t.Errorf("%s: was accepted as %+v", name, s)
		} else if newer := name == "another schema"; !strings.HasPrefix(err.Error(), "ota: ") || errors.Is(err, errSchema) != newer || errors.Is(err, errDamaged) == newer {
			t.Errorf("%s: %v", name, err)
		}
		if s.Flags != agentOpen {
			t.Errorf("%s: a refused form changed the state", name)
		}
	}
}

func FuzzAgentState(f *testing.F) {
	for _, c := range codecCases {
		b, err := c.state.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, back agentState
		if s.UnmarshalBinary(b) != nil {
			return
		}
		again, err := s.AppendBinary(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %+v and written as %x: %v", b, s, again, err)
		}
		if err := back.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s, back) {
			t.Fatalf("got  %+v\nwant %+v", back, s)
		}
	})
}

var someEvents = []Event{
	{Kind: EventCreated, Batch: -1, Number: 3, Actor: "ann", Text: "3 agents in 1 batches"},
	{Kind: EventTaskStarted, Batch: 0, Agent: "a", Task: 2, Number: 1},
	{Kind: EventTaskWaiting, Batch: 300, Agent: "ü", Reason: ReasonThrottled, Until: time.Unix(0, noon).UTC()},
	{Kind: EventTaskFailed, Batch: 1, Agent: strings.Repeat("x", 255), Reason: ReasonRepeat, Text: strings.Repeat("y", maxMessage)},
	{Kind: EventLate, Batch: -1},
}

func TestIsBad(t *testing.T) {
	waiting := func(first, second TaskStatus) agentState {
		return agentState{Status: TaskWaiting, Task: taskState{Status: first}, Rest: []taskState{{Status: second}}}
	}
	for name, c := range map[string]struct {
		state agentState
		want  bool
	}{
		"failed":                     {agentState{Status: TaskFailed}, true},
		"unknown":                    {agentState{Status: TaskUnknown}, true},
		"retried":                    {agentState{Status: TaskPending}, true},
		"waits after a failure":      {waiting(TaskWaiting, TaskPending), true},
		"waits in its second task":   {waiting(TaskSucceeded, TaskWaiting), true},
		"between two tasks":          {waiting(TaskSucceeded, TaskPending), false},
		"running":                    {agentState{Status: TaskRunning}, false},
		"succeeded":                  {agentState{Status: TaskSucceeded}, false},
		"succeeded, and unhealthy":   {agentState{Status: TaskSucceeded, Flags: agentUnhealthy}, true},
		"canceled between two tasks": {agentState{Status: TaskCanceled}, false},
	} {
		require.Equal(t, c.want, isBad(&agentRow{State: c.state}), name)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	at := time.Unix(0, noon).UTC()
	data, notable := encodeRecord(at, StatusRunning, "r", someEvents...)
	require.True(t, notable)
	rec, err := decodeRecord("p", LogRow{Revision: 7, Data: data})
	require.NoError(t, err)
	require.Equal(t, Record{Plan: "p", Revision: 7, Request: "r", At: at, Status: StatusRunning, Events: someEvents}, rec)
	whole := 0
	for n := range data {
		if _, err := decodeRecord("p", LogRow{Data: data[:n]}); err == nil {
			whole++ // cut between two events
		}
	}
	require.Equal(t, len(someEvents), whole, "a record that was cut is not taken for a whole one")
	data[0]++
	_, err = decodeRecord("p", LogRow{Revision: 7, Data: data})
	require.EqualError(t, err, "ota: log record 7 of plan p has schema 2, this version knows 1")
}

func TestRecordIsStable(t *testing.T) {
	data, notable := encodeRecord(time.Unix(0, noon), StatusPaused, "r", someEvents[1], someEvents[2])
	require.False(t, notable)
	require.Equal(t, "014c041886999c36a18000"+"0172"+"170f0001610201"+"1e33ac0202c3bc8a80808cea86e7cc8631", hex.EncodeToString(data),
		"the stored form changed, and old logs are lost")
}

func TestRecordWriterKeepsItsBuffer(t *testing.T) {
	var w recordWriter
	w.add(&someEvents[1])
	first := string(w.finish(time.Unix(0, noon), StatusRunning))
	w.reset()
	require.Zero(t, w.events)
	if n := testing.AllocsPerRun(100, func() { w.reset(); w.add(&someEvents[1]) }); n > 0 {
		t.Errorf("a record allocates %v times", n)
	}
	require.Equal(t, first, string(w.finish(time.Unix(0, noon), StatusRunning)))
}

func FuzzRecord(f *testing.F) {
	record, _ := encodeRecord(time.Unix(0, noon), StatusRunning, "", someEvents...)
	f.Add(record)
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := decodeRecord("p", LogRow{Data: data})
		if err != nil {
			return
		}
		data, _ = encodeRecord(rec.At, rec.Status, rec.Request, rec.Events...)
		again, err := decodeRecord("p", LogRow{Data: data})
		if err != nil || !reflect.DeepEqual(rec, again) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, again, rec)
		}
	})
}

func TestShowPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		c    planControl
		p    planProgress
		want string
	}{
		{
			"a plan that an operator and a breach have paused",
			planControl{AnsweredBreach: 1, Paused: &Audit{At: noonTime.Add(time.Minute), Actor: "jane", Reason: "disk\n\"full\"\x00\xff"}},
			planProgress{
				Owner: "engine-1", At: noonTime, Batch: 3, Reached: 3, Changed: 33, Counts: Counts{Pending: 17, Succeeded: 31, Failed: 2},
				Breaches: []Breach{
					{Number: 1, Reason: ReasonFault, Text: "answered already"},
					{Number: 2, Reason: ReasonThreshold, Batch: 3, Failed: 2, Size: 10, Tolerated: 1},
				},
			},
			`{"batch":3,"batches":10,"agents":{"pending":17,"succeeded":31,"failed":2},"touched":33,"owner":"engine-1",` +
				`"at":"2026-01-01T12:00:00Z","paused":{"at":"2026-01-01T12:01:00Z","actor":"jane","reason":"disk\n\"full\"` + "\uFFFD\uFFFD" + `"},` +
				`"breach":"Failure threshold exceeded: 2 of the 10 agents of batch 3 failed, 1 is tolerated"}`,
		},
		{
			"what was never started is canceled, as in Plan",
			planControl{Cancel: &planStop{Audit: Audit{At: noonTime, Actor: "joe"}}, Rollback: &rollbackRef{ID: "plan-2"}},
			planProgress{Counts: Counts{Pending: 4, Succeeded: 1}},
			`{"batch":0,"batches":10,"agents":{"succeeded":1,"canceled":4},"canceled":{"at":"2026-01-01T12:00:00Z","actor":"joe"},"rollback":"plan-2"}`,
		},
	} {
		require.Equal(t, c.want, string(showPlan(nil, &planSpec{Batches: 10}, &c.c, &c.p)), c.name)
	}
}

func TestShowBatch(t *testing.T) {
	t.Parallel()
	b := batchRow{Name: "canary", First: 0, Size: 5, Counts: Counts{Succeeded: 4, Unknown: 1}, Accepted: 1, Gate: GateFail, StartedAt: noonTime}
	require.Equal(t, `x{"name":"canary","first":0,"size":5,"agents":{"succeeded":4,"unknown":1},"accepted":1,"gate":"fail","started":"2026-01-01T12:00:00Z"}`,
		string(showBatch([]byte("x"), &b)))
}

// An agent shows the error of the last task that has one, and nothing without an error.
func TestShowAgent(t *testing.T) {
	t.Parallel()
	s := agentState{Rest: make([]taskState, 2)}
	require.Equal(t, "x", string(showAgent([]byte("x"), &s)))
	s.Task.More, s.Rest[0].More, s.Rest[1].More = &taskMore{Error: "first"}, &taskMore{Error: "a\x00\"b\"\nc"}, &taskMore{Version: "3"}
	require.Equal(t, "x{\"error\":\"a\uFFFD\\\"b\\\"\\nc\"}", string(showAgent([]byte("x"), &s)))
}

// Whatever the values are, what is shown is JSON, and shows every text as it is but for what a
// database refuses.
func TestShowIsJSON(t *testing.T) {
	t.Parallel()
	for i := range uint64(100) {
		r := rand.New(rand.NewPCG(10, i))
		s, c, p, b := new(specPart), new(planControl), new(planProgress), new(batchRow)
		for _, v := range []codedPart{s, c, p, b} {
			filled(v, r, i == 0)
		}
		for _, text := range [][]byte{showPlan(nil, &s.planSpec, c, p), showBatch(nil, b)} {
			var v map[string]any
			require.NoError(t, json.Unmarshal(text, &v), "%s", text)
			require.NotContains(t, string(text), `\u0000`)
		}
	}
}

func TestShowAllocatesNothing(t *testing.T) {
	p, b, c := busyProgress(), busyBatch(), busyControl()
	s, buf := planSpec{Batches: 10}, make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = showBatch(showPlan(buf[:0], &s, &c, &p), &b) }))
}
