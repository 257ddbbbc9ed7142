package scenarios

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

func TestPlansByStatusAndLabel(t *testing.T) {
	inScene(t, func(s *scene) {
		create := func(name string, labels map[string]string) string {
			p, err := s.e.Create(s.ctx, ota.Spec{Name: name, ToVersion: "2", Agents: ota.AgentIDs(name), Labels: labels})
			require.NoError(s, err)
			time.Sleep(time.Second)
			return p.ID
		}
		a, b, c := create("a", map[string]string{"app": "x"}), create("b", map[string]string{"app": "x", "env": "p"}), create("c", nil)
		s.said(s.e.Start(s.ctx, b, ota.Request{}))
		list := func(q ota.PlanQuery) (ids []string) {
			page, err := s.e.Plans(s.ctx, q)
			require.NoError(s, err)
			for _, p := range page.Items {
				ids = append(ids, p.ID)
			}
			return ids
		}
		require.Equal(s, []string{c, b, a}, list(ota.PlanQuery{}), "newest first")
		require.Equal(s, []string{b, a}, list(ota.PlanQuery{Labels: map[string]string{"app": "x"}}))
		require.Equal(s, []string{b}, list(ota.PlanQuery{Status: []ota.Status{ota.StatusRunning}}))
		require.Equal(s, []string{b}, list(ota.PlanQuery{Offset: 1, Limit: 1}))
	})
}

func TestCanceledPlanShowsWhatWasNeverStarted(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 2}, "ok-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		s.said(s.e.Cancel(s.ctx, id, false, ota.Request{}))
		s.after(time.Second)
		require.Equal(s, ota.Counts{Succeeded: 1, Canceled: 2}, s.plan(id).Counts)
		require.Equal(s, ota.BatchCanceled, s.batch(id, 0).Status)
		require.Equal(s, ota.BatchCanceled, s.batch(id, 1).Status)
		page, err := s.e.Agents(s.ctx, id, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskCanceled}})
		require.NoError(s, err)
		require.Len(s, page.Items, 2)
		require.Equal(s, ota.TaskCanceled, page.Items[0].Tasks[0].Status)
		page, err = s.e.Agents(s.ctx, id, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskPending}})
		require.NoError(s, err)
		require.Empty(s, page.Items)
	})
}

func TestWatchEnds(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		n := 0
		for rec, err := range s.e.Watch(ctx, id, 0) {
			if err != nil {
				require.ErrorIs(s, err, context.DeadlineExceeded)
				require.Zero(s, rec)
				break
			}
			n++
		}
		require.Equal(s, 2, n)
		for _, err := range s.e.Watch(s.ctx, "nobody", 0) {
			require.ErrorIs(s, err, ota.ErrNotFound)
		}
	})
}

// Another engine's changes reach a Watch and a Wait within Poll.
func TestWatchThroughAnotherEngine(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		two := s.engineOf(s.store, nil, ota.Options{Name: "two", Poll: time.Second})
		s.run(s.e)
		begun := time.Now()
		p, err := two.Wait(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.LessOrEqual(s, time.Since(begun), 2*time.Second)
	})
}

func TestExplainNobodyDrives(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		require.Equal(s, "No engine drives the plan", s.explain(id).Sentence())
		stop := s.run(s.e)
		s.after(500 * time.Millisecond)
		require.Equal(s, []string{"in_flight"}, s.reasons(id))
		require.Equal(s, "Calls that were made have not returned: 1 agent", s.explain(id).Sentence())
		_ = stop()
		s.stays(id, ota.StatusCompleted)
		require.Equal(s, "The plan has ended: completed", s.explain(id).Sentence())
	})
}

// Agents are found by the beginning of their IDs, by a label, indexed or not, and by how they ended.
func TestAgentsByWhatTheyAre(t *testing.T) {
	inScene(t, func(s *scene) {
		p, err := s.e.Create(s.ctx, ota.Spec{
			Name: "n", ToVersion: "2", Index: []string{"zone"}, Policy: ota.Policy{FailureThreshold: ptr(1.0)},
			Agents: func(yield func(ota.Agent, error) bool) {
				for i, id := range []string{"ok-1", "perm-2", "ok-3", "perm-4"} {
					if !yield(ota.Agent{ID: id, Labels: map[string]string{"zone": fmt.Sprint("z", i/2), "rack": fmt.Sprint("r", i%2)}}, nil) {
						return
					}
				}
			},
		})
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.drive(p.ID)
		for want, q := range map[string]ota.AgentQuery{
			"[ok-1 ok-3]":     {Prefix: "ok"},
			"[ok-3 perm-4]":   {Label: ota.Label{Name: "zone", Value: "z1"}},
			"[perm-2 perm-4]": {Label: ota.Label{Name: "rack", Value: "r1"}, Reason: []ota.Reason{ota.ReasonPermanent}},
			"[]":              {Label: ota.Label{Name: "rack"}},
		} {
			page, err := s.e.Agents(s.ctx, p.ID, q)
			require.NoError(s, err)
			ids := []string{}
			for _, a := range page.Items {
				ids = append(ids, a.ID)
			}
			require.Equal(s, want, fmt.Sprint(ids))
		}
	})
}

// reframed is a part as a newer version of the library would write it.
func reframed(part []byte) []byte {
	part = slices.Clone(part)
	part[0] = ota.Schema + 1
	n := len(part) - 4
	binary.LittleEndian.PutUint32(part[n:], crc32.Checksum(part[:n], crc32.MakeTable(crc32.Castagnoli)))
	return part
}

// A plan of which a part is newer, or damaged, is listed from its columns. No engine touches it, not even one that was driving it.
func TestUnreadablePartsAreLeftAlone(t *testing.T) {
	const newer, damaged = "written by a newer version of this library", "truncated or damaged"
	for name, c := range map[string]struct {
		change func(p *ota.Parts)
		says   string
	}{
		"newer spec":       {func(p *ota.Parts) { p.Spec = reframed(p.Spec) }, newer},
		"newer control":    {func(p *ota.Parts) { p.Control = reframed(p.Control) }, newer},
		"newer progress":   {func(p *ota.Parts) { p.Progress = reframed(p.Progress) }, newer},
		"damaged spec":     {func(p *ota.Parts) { p.Spec = p.Spec[1:] }, damaged},
		"damaged control":  {func(p *ota.Parts) { p.Control = append(slices.Clone(p.Control), 0) }, damaged},
		"damaged progress": {func(p *ota.Parts) { p.Progress = p.Progress[:9] }, damaged},
	} {
		for _, driven := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, driven %t", name, driven), func(t *testing.T) {
				inScene(t, func(s *scene) {
					s.store.Blind = true // it cannot read the plan, either
					id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, "ok-1", "ok-2", "ok-3", "ok-4")
					if driven {
						s.fleet.latency = time.Minute
						s.run(s.e)
						s.after(time.Second)
					}
					row, err := s.store.Store.Plan(s.ctx, id)
					require.NoError(s, err)
					c.change(&row.Parts)
					log, err := s.store.Store.Log(s.ctx, id, ota.LogQuery{Limit: 1})
					require.NoError(s, err)
					_, err = s.store.Store.Commit(s.ctx, ota.Commit{
						Plan: id, Then: ota.Numbers{Control: row.Numbers.Control + 1}, Parts: row.Parts, Log: log.Items[0],
					})
					require.NoError(s, err)
					calls := len(s.fleet.made(""))
					if !driven {
						s.run(s.e)
					}
					s.after(time.Hour)
					require.Len(s, s.fleet.made(""), calls, "no call is made")
					said := s.explain(id).Sentence()
					if c.says == newer {
						require.Equal(s, "The plan was written by a newer version of the library", said)
					} else {
						require.Contains(s, said, "The plan's bytes in the store are damaged")
					}
					page, err := s.e.Plans(s.ctx, ota.PlanQuery{Limit: 1})
					require.NoError(s, err)
					require.Equal(s, ota.StatusRunning, page.Items[0].Status)
					require.NotEmpty(s, page.Items[0].Name)
					_, err = s.e.Pause(s.ctx, id, ota.Request{})
					require.ErrorContains(s, err, c.says)
					if !driven {
						_, err = s.e.RunPlan(s.ctx, id)
						require.ErrorContains(s, err, c.says)
					}
				})
			})
		}
	}
}
