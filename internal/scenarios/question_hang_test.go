package scenarios

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// deaf is a fleet that answers no question of one kind, and ignores the contexts of the questions,
// until it is freed.
type deaf struct {
	*scripted
	kind      string
	out, most atomic.Int64
	asked     atomic.Int64
	free      chan struct{}
	once      sync.Once
}

func (d *deaf) question(kind string) {
	if kind != d.kind {
		return
	}
	d.asked.Add(1)
	n := d.out.Add(1)
	defer d.out.Add(-1)
	d.most.Store(max(d.most.Load(), n))
	<-d.free
}

func (d *deaf) answer() { d.once.Do(func() { close(d.free) }) }

func (d *deaf) Health(context.Context, ota.Attempt) (ota.Health, error) {
	d.question("health")
	return ota.Health{Healthy: true}, nil
}

func (d *deaf) Precheck(context.Context, ota.Attempt) (ota.Precheck, error) {
	d.question("precheck")
	return ota.Precheck{}, nil
}

func (d *deaf) Gate(context.Context, ota.Plan, ota.Batch) (ota.GateVerdict, error) {
	d.question("gate")
	return ota.GatePass, nil
}

// A question that hangs is out three times at most, however long the plan waits. Before, each round
// of questions left one more goroutine behind: thousands in a day, for one agent. When the code
// answers again, the plan goes on.
func TestAHangingQuestionIsNotAskedWithoutEnd(t *testing.T) {
	// Three agents of the batch, and four that the plan has not begun, are asked about their health.
	for kind, most := range map[string]int64{"health": 21, "precheck": 9, "gate": 3} {
		t.Run(kind, func(t *testing.T) {
			inScene(t, func(s *scene) {
				d := &deaf{scripted: s.fleet, kind: kind, free: make(chan struct{})}
				s.use(d)
				s.Cleanup(d.answer)
				id := s.start(ota.Policy{
					UnreachableTimeout: ota.NoTimeout, Gate: ota.Gate{MaxErrors: 1_000_000}, Soak: ota.Soak{Duration: time.Hour, Misses: ota.Off},
				}, ota.Shape{Size: 3}, names("ok", 6)...)
				stop := s.run(s.e)
				s.after(3 * time.Hour)
				require.Equal(s, most, d.most.Load(), "questions that are out at once")
				require.Equal(s, most, d.asked.Load(), "no question was asked more often")
				s.status(id, ota.StatusRunning)
				require.NotEmpty(s, s.reasons(id))
				d.answer()
				s.after(10 * time.Hour)
				require.NoError(s, stop())
				s.status(id, ota.StatusCompleted)
			})
		})
	}
}
