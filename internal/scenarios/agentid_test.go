package scenarios

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

func TestLookAlikes(t *testing.T) {
	warned := func(ids ...string) string {
		e, err := ota.New(memstore.New(), nil, ota.Options{})
		require.NoError(t, err)
		spec := ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(ids...), Policy: ota.Policy{FailureThreshold: ptr(0.0)}}
		p, err := e.Create(t.Context(), spec)
		require.NoError(t, err)
		spec.Agents = ota.AgentIDs(ids...)
		seen, err := e.Preview(t.Context(), spec, ota.PreviewOptions{})
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
		require.Contains(t, warned(append([]string{"other", "Other-2"}, twins...)...), "1 agent has an ID that differs from another one only in")
		require.Contains(t, warned(twins...), fmt.Sprintf("for example %q", twins[1]))
	}
	require.Empty(t, warned("node-1", "node-2", "NODE-3", "Straße", "é"))
	require.Contains(t, warned(`"a"`, "'b'", `c"`), "2 agents have an ID in quotes")
	require.Contains(t, warned("e\u0301", "é"), "1 agent has an ID with a combining mark")
}

func TestVersionsAreTrimmed(t *testing.T) {
	inScene(t, func(s *scene) {
		p, err := s.e.Create(s.ctx, ota.Spec{
			Name: "x", FromVersion: " 1\n", FromRelease: "\tr1 ", ToVersion: "2\r\n", ToRelease: "\u00a0r2", Agents: func(yield func(ota.Agent, error) bool) {
				_ = yield(ota.Agent{ID: "a", Version: "1 "}, nil) && yield(ota.Agent{ID: "b", Tasks: []ota.TaskSpec{{FromVersion: "0\n", ToVersion: " 3 "}}}, nil)
			},
		})
		require.NoError(s, err)
		require.Equal(s, []string{"1", "r1", "2", "r2"}, []string{p.FromVersion, p.FromRelease, p.ToVersion, p.ToRelease})
		all := s.agents(p.ID)
		require.Equal(s, "1", all["a"].Version)
		require.Equal(s, []string{"0", "3"}, []string{all["b"].Tasks[0].From, all["b"].Tasks[0].Target})
		_, err = s.e.Create(s.ctx, ota.Spec{Name: "x", FromVersion: " ", ToVersion: "\n", ToRelease: "\t", Agents: func(yield func(ota.Agent, error) bool) {
			_ = yield(ota.Agent{ID: "a", Version: " ", Tasks: []ota.TaskSpec{{ToVersion: "\n"}}}, nil)
		}})
		var fields []string
		for _, f := range ota.FieldErrors(err) {
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
		want     ota.TaskStatus
		err      string
	}{
		{"2", nil, ota.TaskSucceeded, ""},
		{" 2\r\n", nil, ota.TaskSucceeded, ""},
		{"", nil, ota.TaskSucceeded, ""},
		{"v2", nil, ota.TaskFailed, `reports version "v2", the target is "2"`},
		{" \n", nil, ota.TaskFailed, `reports version " ", the target is "2"`},
		{"v2", same, ota.TaskSucceeded, ""},
		{"v2\n", same, ota.TaskSucceeded, ""},
		{"v3", same, ota.TaskFailed, `reports version "v3", the target is "2"`},
		{"panic", same, ota.TaskFailed, `reports version "panic", the target is "2"`},
	} {
		for _, reports := range []bool{false, true} {
			inScene(t, func(s *scene) {
				s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
					if reports {
						<-ctx.Done()
						return ota.Result{}, true, ctx.Err()
					}
					return ota.Result{Version: c.reported}, true, nil
				}
				e, err := ota.New(s.store, s.fleet, ota.Options{SameVersion: c.same})
				require.NoError(s, err)
				s.e = e
				id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{}, "a")
				s.run(s.e)
				s.after(time.Second)
				r := ota.OutcomeReport{Agent: "a", Number: 1, Reason: ota.ReasonSucceeded, Version: c.reported}
				for range 2 { // the same report again is nothing
					if reports {
						require.NoError(s, s.e.ReportOutcomes(s.ctx, id, []ota.OutcomeReport{r}))
					}
				}
				s.after(time.Second)
				task := s.agent(id, "a").Tasks[0]
				require.Equal(s, c.want, task.Status, "%q", c.reported)
				require.Equal(s, c.err, task.Error)
				require.Empty(s, s.events(id, ota.EventLate))
			})
		}
	}
}
