package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/memstore"
)

// serveCommand makes this program the server.
const serveCommand = "serve"

// writeLimit is how long a watcher may leave an event unread.
const writeLimit = 2 * time.Second

// stats are the resources that the server has used.
type stats struct {
	CPU        time.Duration
	Heap       uint64 // bytes of live heap
	Goroutines int
}

// serve is the server: an engine on a store in memory, the lifecycle API, /bare?n=, which writes n
// bytes, and /stats. It ends when its standard input ends.
func serve() error {
	engine, err := ota.New(memstore.New(), ota.ExecutorFunc(upgrade), ota.Options{DrainTimeout: -1})
	if err != nil {
		return err
	}
	h, err := httpapi.New(engine, httpapi.Options{Auth: httpapi.Open(), Limits: httpapi.Limits{Write: writeLimit}})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	httpapi.Mount(mux, h)
	mux.HandleFunc("GET /bare", bare)
	mux.HandleFunc("GET /stats", tellStats)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	srv := httpapi.RecommendedServer("", mux)
	go func() { _ = srv.Serve(listener) }()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err = engine.Run(ctx)
	_ = srv.Close()
	return err
}

// upgrade takes about a second for agents whose names begin with paced-, always the same time for
// the same agent. For other agents it takes no time.
func upgrade(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	if strings.HasPrefix(a.Agent, "paced-") {
		h := fnv.New32a()
		_, _ = h.Write([]byte(a.Agent))
		select {
		case <-time.After(500*time.Millisecond + time.Duration(h.Sum32()%1000)*time.Millisecond):
		case <-ctx.Done():
			return ota.Result{}, ctx.Err()
		}
	}
	return ota.Result{Version: a.ToVersion}, nil
}

func bare(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	_, _ = w.Write(blank[:min(max(n, 0), len(blank))])
}

var blank [4096]byte

func tellStats(w http.ResponseWriter, _ *http.Request) {
	cpu, err := cpuTime()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for range 3 { // the first collection keeps pooled memory
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	_ = json.NewEncoder(w).Encode(stats{
		CPU: cpu, Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine(),
	})
}
