package ota

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

const noon = int64(1_767_268_800_000_000_000) // 2026-01-01T12:00:00Z

var codecCases = []struct {
	name  string
	state AgentState
}{
	{"never started", AgentState{}},
	{
		"finished",
		AgentState{
			Status: TaskSucceeded, Flags: AgentChanged,
			Task: TaskState{Status: TaskSucceeded, Why: ReasonSucceeded, Number: 1, Started: noon, Ended: noon + 95_000_000_000},
		},
	},
	{
		"waiting for its third try",
		AgentState{
			Status: TaskWaiting, Flags: AgentChanged | AgentOpen,
			Task: TaskState{
				Status: TaskWaiting, Why: ReasonBackoff, Tries: 2, Number: 300, Started: noon, Ended: noon + 1,
				More: &TaskMore{Error: "no"},
			},
		},
	},
	{
		"everything",
		AgentState{
			Status: TaskFailed, Flags: 0xff,
			Task: TaskState{
				Status: TaskSucceeded, Why: ReasonSucceeded, Tries: 255, Number: math.MaxUint32, Started: -1, Ended: -2,
				More: &TaskMore{Version: "v9", Error: "ü", UnreachableSince: noon},
			},
			Rest: []TaskState{
				{Status: TaskFailed, Why: ReasonPermanent, Number: 1, Started: 1, Ended: 2},
				{Status: TaskSkipped, Why: ReasonAgentFailed},
			},
			More: &AgentMore{Previous: "v7", Unhealthy: -3},
		},
	},
	{
		"between two tasks, of which the first changed it",
		AgentState{
			Status: TaskWaiting, Flags: AgentChanged | AgentOpen,
			Task: TaskState{Status: TaskSucceeded, Why: ReasonSucceeded, Changed: true, Number: 1, Started: 1, Ended: 2},
			Rest: []TaskState{{}},
		},
	},
	{
		"times at the ends of the range",
		AgentState{Task: TaskState{Started: math.MinInt64, Ended: math.MaxInt64}, More: &AgentMore{}},
	},
}

func TestAgentStateRoundTrip(t *testing.T) {
	for _, c := range codecCases {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.state.AppendBinary([]byte("front"))
			if err != nil {
				t.Fatal(err)
			}
			var back AgentState
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
	var back AgentState
	if n := testing.AllocsPerRun(100, func() { _ = back.UnmarshalBinary(b) }); n != 0 {
		t.Errorf("UnmarshalBinary allocates %v times, want 0", n)
	}
}

func TestAgentStateRefusals(t *testing.T) {
	for _, s := range []AgentState{
		{Status: TaskUnknown + 1},
		{Task: TaskState{Status: TaskUnknown + 1}},
		{Rest: []TaskState{{Status: TaskUnknown + 1}}},
	} {
		if b, err := s.AppendBinary([]byte("x")); err == nil || string(b) != "x" {
			t.Errorf("a status that does not exist was written: %q, %v", b, err)
		}
	}
	for name, b := range map[string]string{
		"nothing":                         "",
		"schema 0":                        "000000000000",
		"another schema":                  "020000000000",
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
		s := AgentState{Flags: AgentOpen}
		if err := s.UnmarshalBinary(raw); err == nil {
			t.Errorf("%s: was accepted as %+v", name, s)
		} else if newer := name == "another schema"; !strings.HasPrefix(err.Error(), "ota: ") || errors.Is(err, errSchema) != newer || errors.Is(err, errDamaged) == newer {
			t.Errorf("%s: %v", name, err)
		}
		if s.Flags != AgentOpen {
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
		var s, back AgentState
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
