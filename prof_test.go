package ota
import ("testing";"os";"runtime";"runtime/pprof";"time";"context";"strconv";"fmt";"syscall")
func cpu2() time.Duration { var r syscall.Rusage; syscall.Getrusage(0,&r); return time.Duration(r.Utime.Nano()+r.Stime.Nano()) }
func TestProf(t *testing.T){
	n:=1_000_000
	ids := make([]string, n)
	for i := range ids { ids[i] = "agent-" + strconv.Itoa(i) }
	f,_:=os.Create("/tmp/p.prof")
	b:=&testing.B{}
	runtime.SetCPUProfileRate(1000)
	pprof.StartCPUProfile(f)
	for range 5 {
		e, id := benchPlan(b, ids)
		runtime.GC()
		c0:=cpu2();s0:=time.Now(); bareErrgroup(n); fl:=time.Since(s0);cf:=cpu2()-c0
		var m0,m1 runtime.MemStats; runtime.ReadMemStats(&m0)
		c1:=cpu2();s:=time.Now()
		var p Plan
		pprof.Do(context.Background(), pprof.Labels("k","run"), func(ctx context.Context){ p,_=e.RunPlan(ctx, id) })
		d:=time.Since(s);cr:=cpu2()-c1
		runtime.ReadMemStats(&m1)
		fmt.Println(fl, d, d.Seconds()/fl.Seconds(), "cpu",cf,cr,cr.Seconds()/cf.Seconds(),p.Revision, "gcs", m1.NumGC-m0.NumGC, "heap", m0.HeapAlloc>>20, m1.HeapAlloc>>20, "allocs", float64(m1.Mallocs-m0.Mallocs)/1e6, float64(m1.TotalAlloc-m0.TotalAlloc)/1e6)
	}
	pprof.StopCPUProfile()
}
