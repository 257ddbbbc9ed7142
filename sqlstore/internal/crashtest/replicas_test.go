//go:build unix

package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

const replicaLease = 300 * time.Millisecond

// Three replicas drive many plans on one PostgreSQL. They are killed, and stopped for longer than their lease, the
// database is restarted, and somebody else pauses plans: every plan ends, and nothing on record is out of order.
func TestReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	defer w.stop()
	plans := amount(50, 16, 8)
	w.chaos.Go(func() { w.disturb() })
	w.chaos.Go(func() { w.pauseAndResume() })
	w.chaos.Go(func() { w.restartDatabase(plans) })
	w.tell(plans, 10*time.Minute)
	w.calm()
	for _, p := range w.problems() {
		t.Error(p)
	}
	t.Logf("%d plans ended; %d replicas killed, %d stopped, %d restarts of the database, %d pauses",
		w.ended, w.killed, w.stopped, w.restarts, w.pauses)
}

// Without the fence the same replicas write what is stale.
func TestReplicasWithoutFence(t *testing.T) {
	t.Parallel()
	for range 5 {
		w := newWorld(t, true)
		w.chaos.Go(func() { w.disturb() })
		w.tell(6, 6*time.Second)
		w.calm()
		problems := w.problems()
		w.stop()
		if len(problems) > 0 {
			t.Logf("%d problems, for example: %s", len(problems), problems[0])
			return
		}
	}
	t.Error("nothing goes wrong without the fence: these replicas prove nothing with it")
}

// world is a database, a fleet, and replicas.
type world struct {
	t       *testing.T
	cluster *pgtest.Cluster
	fleet   *fleet
	store   *sqlstore.Store
	engine  *ota.Engine // the operator's: it drives nothing
	order   order

	ctx    context.Context // of the stories
	cancel context.CancelFunc
	quiet  chan struct{} // closed when nobody is to be disturbed any more
	chaos  sync.WaitGroup

	mu       sync.Mutex
	replicas [3]*child
	lives    int
	active   map[string]bool
	stories  []story
	ended    int

	killed, stopped, restarts, pauses int
}

// newWorld starts three replicas on a database of their own.
func newWorld(t *testing.T, unfenced bool) *world {
	t.Helper()
	cluster, err := pgtest.New()
	if err != nil {
		t.Skipf("no PostgreSQL to test with: %v", err)
	}
	t.Cleanup(cluster.Stop)
	w := &world{t: t, cluster: cluster, fleet: startFleet(t, 6*time.Millisecond), quiet: make(chan struct{}), active: map[string]bool{}}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if w.store, err = sqlstore.Open(t.Context(), cluster.URL(), sqlstore.Options{}); err != nil {
		t.Fatal(err)
	}
	if w.engine, err = ota.New(w.store, nil, ota.Options{Poll: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	w.order = order{DSN: cluster.URL(), Fleet: w.fleet.address(), Lease: replicaLease, Unfenced: unfenced, Stay: true}
	for i := range w.replicas {
		w.start(i)
	}
	return w
}

// start starts a replica under a name that was never used, as a service does that is started again elsewhere.
func (w *world) start(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lives++
	o := w.order
	o.Name = fmt.Sprintf("replica-%d", w.lives)
	w.replicas[i] = startChild(w.t, o)
}

func (w *world) stop() {
	w.cancel()
	for _, c := range w.replicas {
		c.kill()
	}
	w.store.Close()
}

// calm ends the disturbance.
func (w *world) calm() {
	close(w.quiet)
	w.chaos.Wait()
}

// tell tells stories, ten at a time, until all have ended or the time is over.
func (w *world) tell(n int, within time.Duration) {
	stop := time.AfterFunc(within, w.cancel)
	defer stop.Stop()
	var telling sync.WaitGroup
	slots := make(chan struct{}, 10)
	for i := range n {
		s := story{Kind: []kind{accept, undo, accept, retry}[i%4], Agents: 24 + i%5, Batch: 8, Shape: i % 7}
		s.ID = fmt.Sprintf("%s-%d", s.Kind, i)
		w.mu.Lock()
		w.stories = append(w.stories, s)
		w.mu.Unlock()
		slots <- struct{}{}
		telling.Go(func() {
			w.tellOne(s)
			<-slots
		})
	}
	telling.Wait()
}

// tellOne tells a story from the beginning whenever the database has gone away.
func (w *world) tellOne(s story) {
	w.setActive(s.ID, true)
	defer w.setActive(s.ID, false)
	for w.ctx.Err() == nil {
		err := s.tell(w.ctx, w.engine)
		if err == nil {
			w.mu.Lock()
			w.ended++
			w.mu.Unlock()
			return
		}
		_ = wait(w.ctx, 20*time.Millisecond)
	}
	if !w.order.Unfenced {
		ex, err := w.engine.Explain(context.Background(), s.ID)
		w.t.Errorf("%s has not ended: %+v, %v", s.ID, ex, err)
	}
}

func (w *world) setActive(id string, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[id] = is
}

// disturb kills replicas, and stops them for longer than their lease, until all is quiet.
func (w *world) disturb() {
	for i := 0; w.sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond); i++ {
		r := rand.IntN(len(w.replicas))
		c := w.replicas[r]
		select {
		case <-c.exited: // the database was away when it started
			w.start(r)
			continue
		default:
		}
		if i%2 == 0 && !w.order.Unfenced {
			c.kill()
			w.killed++
			w.sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
			w.start(r)
			continue
		}
		_ = c.cmd.Process.Signal(syscall.SIGSTOP)
		w.stopped++
		w.sleep(replicaLease + time.Duration(50+rand.IntN(500))*time.Millisecond)
		_ = c.cmd.Process.Signal(syscall.SIGCONT)
	}
}

func (w *world) sleep(d time.Duration) bool {
	select {
	case <-w.quiet:
		return false
	case <-time.After(d):
		return true
	}
}

// restartDatabase ends the server like a crash, and starts it again, when a third and two thirds of the plans have ended.
func (w *world) restartDatabase(plans int) {
	for w.restarts < 2 && w.sleep(10*time.Millisecond) {
		w.mu.Lock()
		ended := w.ended
		w.mu.Unlock()
		if ended < (w.restarts+1)*plans/3 {
			continue
		}
		w.cluster.Kill()
		time.Sleep(300 * time.Millisecond)
		if err := w.cluster.Start(); err != nil {
			w.t.Error(err)
			return
		}
		w.restarts++
	}
}

// pauseAndResume is somebody in another process. That no start follows the acknowledgement is for the checker to see.
func (w *world) pauseAndResume() {
	for w.sleep(30 * time.Millisecond) {
		id := w.anyActive()
		if _, err := w.engine.Pause(w.ctx, id, operator); err != nil {
			continue
		}
		w.pauses++
		w.sleep(time.Duration(10+rand.IntN(50)) * time.Millisecond)
		for range 6000 {
			p, err := w.engine.Plan(w.ctx, id)
			if err == nil {
				_, err = w.engine.Resume(w.ctx, id, ota.Accept(p.Counts.Bad()), operator)
			}
			if err == nil || p.Status.Ended() || p.Status == ota.StatusRollingBack {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func (w *world) anyActive() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, is := range w.active { // in random order
		if is {
			return id
		}
	}
	return "none"
}

// problems judges all plans.
func (w *world) problems() (all []string) {
	lines := map[string][]line{}
	for _, l := range w.fleet.lines(w.t) {
		lines[l.Plan] = append(lines[l.Plan], l)
	}
	for _, s := range w.stories {
		h := read(w.t, w.engine, s.ID)
		all = append(all, check(h, lines[s.ID])...)
		if h.plan.RollbackPlan != "" {
			back := read(w.t, w.engine, h.plan.RollbackPlan)
			all = append(all, check(back, lines[back.plan.ID])...)
		}
		if s.Kind.settled() && !w.order.Unfenced {
			all = append(all, compare(h, uninterrupted(w.t, s))...)
		}
	}
	return all
}
