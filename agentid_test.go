package ota

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
)

// Every character that cannot be seen is refused in an ID, by its code point, wherever it stands; blanks only around one.
func TestInvisibleCharactersInIDs(t *testing.T) {
	for r, name := range invisibleNames {
		for _, id := range []string{"a" + string(r) + "b", string(r) + "a", "a" + string(r)} {
			problem := idProblem(id)
			require.Contains(t, problem, fmt.Sprintf("%U (%s)", r, name), "%+q", id)
		}
	}
	seen := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		bare := unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector)
		if bare {
			seen++
			require.NotEmpty(t, idProblem("a"+string(r)+"b"), "%U", r)
		}
		if unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.Sc, unicode.Sm) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) {
			require.Empty(t, idProblem("a"+string(r)), "%U", r)
		}
	}
	require.Greater(t, seen, 400)
	for _, id := range []string{" a", "a ", " "} {
		require.Contains(t, idProblem(id), "(U+0020)")
	}
	for _, id := range []string{"a b", "a/b", "naïve", "日本", "🚀", "a\ufffdb", `"a"`} {
		require.Empty(t, idProblem(id), id)
	}
}

func TestLookAlikes(t *testing.T) {
	warned := func(ids ...string) string {
		e, err := New(NewMemStore(), nil, Options{})
		require.NoError(t, err)
		spec := Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs(ids...), Policy: Policy{FailureThreshold: ptr(0.0)}}
		p, err := e.Create(t.Context(), spec)
		require.NoError(t, err)
		spec.Agents = AgentIDs(ids...)
		seen, err := e.Preview(t.Context(), spec, PreviewOptions{})
		require.NoError(t, err)
		require.Equal(t, p.Warnings, seen.Warnings)
		return strings.Join(p.Warnings, "\n")
	}
	for _, twins := range [][]string{
		{"node-1", "Node-1"},
		{"Node-1", "node-1"},
		{"NODE-1", "Node-1"},
		{"node-1", "node–1"},
		{"node−1", "node-1"},
		{"a’b", "a'b"},
		{"Ärger", "ärger"},
		{"K1", "\u212a1"},
	} {
		require.Contains(t, warned(append([]string{"other", "Other-2"}, twins...)...), "1 agents have an ID that differs from another one only in")
		require.Contains(t, warned(twins...), fmt.Sprintf("for example %q", twins[1]))
	}
	require.Empty(t, warned("node-1", "node-2", "NODE-3", "Straße", "é"))
	require.Contains(t, warned(`"a"`, "'b'", `c"`), "2 agents have an ID in quotes")
	require.Contains(t, warned("e\u0301", "é"), "1 agents have an ID with a combining mark")
}

func TestVersionsAreTrimmed(t *testing.T) {
	inScene(t, func(s *scene) {
		p, err := s.e.Create(s.ctx, Spec{
			Name: "x", FromVersion: " 1\n", FromRelease: "\tr1 ", ToVersion: "2\r\n", ToRelease: "\u00a0r2", Agents: func(yield func(Agent, error) bool) {
				_ = yield(Agent{ID: "a", Version: "1 "}, nil) && yield(Agent{ID: "b", Tasks: []TaskSpec{{FromVersion: "0\n", ToVersion: " 3 "}}}, nil)
			},
		})
		require.NoError(s, err)
		require.Equal(s, []string{"1", "r1", "2", "r2"}, []string{p.FromVersion, p.FromRelease, p.ToVersion, p.ToRelease})
		all := s.agents(p.ID)
		require.Equal(s, "1", all["a"].Version)
		require.Equal(s, []string{"0", "3"}, []string{all["b"].Tasks[0].From, all["b"].Tasks[0].Target})
		_, err = s.e.Create(s.ctx, Spec{Name: "x", FromVersion: " ", ToVersion: "\n", ToRelease: "\t", Agents: func(yield func(Agent, error) bool) {
			_ = yield(Agent{ID: "a", Version: " ", Tasks: []TaskSpec{{ToVersion: "\n"}}}, nil)
		}})
		var fields []string
		for _, f := range FieldErrors(err) {
			require.Equal(s, "is blank", f.Problem)
			fields = append(fields, f.Field)
		}
		require.Equal(s, []string{"fromVersion", "toVersion", "toRelease", "agents[0].version", "agents[0].tasks[0].toVersion"}, fields)
	})
}

// What an agent reports is compared without the blanks around it, and by SameVersion; the error shows both.
func TestReportedVersions(t *testing.T) {
	same := func(a, b string) bool {
		if a == "panic" {
			panic(a)
		}
		return strings.TrimPrefix(a, "v") == b
	}
	for _, c := range []struct {
		reported string
		same     func(a, b string) bool
		want     TaskStatus
		err      string
	}{
		{"2", nil, TaskSucceeded, ""},
		{" 2\r\n", nil, TaskSucceeded, ""},
		{"", nil, TaskSucceeded, ""},
		{"v2", nil, TaskFailed, `reports version "v2", the target is "2"`},
		{" \n", nil, TaskFailed, `reports version " ", the target is "2"`},
		{"v2", same, TaskSucceeded, ""},
		{"v2\n", same, TaskSucceeded, ""},
		{"v3", same, TaskFailed, `reports version "v3", the target is "2"`},
		{"panic", same, TaskFailed, `reports version "panic", the target is "2"`},
	} {
		for _, reports := range []bool{false, true} {
			inScene(t, func(s *scene) {
				s.fleet.do = func(ctx context.Context, a Attempt) (Result, bool, error) {
					if reports {
						<-ctx.Done()
						return Result{}, true, ctx.Err()
					}
					return Result{Version: c.reported}, true, nil
				}
				e, err := New(s.store, s.fleet, Options{SameVersion: c.same})
				require.NoError(s, err)
				s.e = e
				id := s.start(Policy{FailureThreshold: ptr(1.0)}, Shape{}, "a")
				s.run(s.e)
				s.after(time.Second)
				r := OutcomeReport{Agent: "a", Number: 1, Reason: ReasonSucceeded, Version: c.reported}
				for range 2 { // the same report again is nothing
					if reports {
						require.NoError(s, s.e.ReportOutcomes(s.ctx, id, []OutcomeReport{r}))
					}
				}
				s.after(time.Second)
				task := s.agent(id, "a").Tasks[0]
				require.Equal(s, c.want, task.Status, "%q", c.reported)
				require.Equal(s, c.err, task.Error)
				require.Empty(s, s.events(id, EventLate))
			})
		}
	}
}

// A precheck knows the same versions as the engine.
func TestSameVersionElsewhere(t *testing.T) {
	same := func(a, b string) bool { return strings.TrimPrefix(a, "v") == b }
	p, _ := readPrecheck(same, Attempt{ToVersion: "2"}, Precheck{Version: "v2\n"}, nil)
	require.Equal(t, Precheck{State: PrecheckAtTarget, Version: "2"}, p)
}
