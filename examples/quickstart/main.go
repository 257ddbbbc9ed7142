// Quickstart shows ota at work on a fleet of real processes. An upgrade fails on some machines and
// pauses by itself. Exactly the agents that it changed are rolled back. A better upgrade completes.
//
//	go run ./examples/quickstart
//
// With -db and -dir the plans and the agents' folders are kept. You can kill the program at any
// moment, also with -9. Run it again with -resume, and it continues:
//
//	go run ./examples/quickstart -db plans.db -dir fleet
//	go run ./examples/quickstart -db plans.db -dir fleet -resume
//
// It needs only Go. Without those flags it removes everything it created. story.go has the story;
// executor.go is the part that you would write for your own fleet.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed-19b57ce3/ota/examples/internal/planstore"
)

// agentCommand makes this program an agent of the fleet.
const agentCommand = "agent"

func main() {
	if len(os.Args) == 3 && os.Args[1] == agentCommand {
		fail(agentMain(os.Args[2]), 1)
		return
	}
	c, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	fail(err, 2)
	ctx, unwatch := signal.NotifyContext(context.Background(), syscall.SIGPIPE) // as with `| head`
	defer unwatch()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends this program at once, and the agents with it
	switch err := run(ctx, c); {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "Interrupted: all agents are stopped.")
		os.Exit(130)
	default:
		fail(err, 1)
	}
}

// fail ends the program when there is an error.
func fail(err error, code int) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(code)
	}
}

type config struct {
	agents      int
	dir         string
	concurrency int
	batch       int
	seed        uint64
	db          string
	resume      bool
	verbose     bool
}

func parseFlags(args []string) (config, error) {
	var c config
	fs := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	fs.IntVar(&c.agents, "agents", 40, "the number of agents in the fleet")
	fs.StringVar(&c.dir, "dir", "", "`folder` for the agents' folders, which stay there (default a temporary one, removed at the end)")
	fs.IntVar(&c.concurrency, "concurrency", 5, "how many agents are upgraded at once")
	fs.IntVar(&c.batch, "batch", 10, "the number of agents in a batch")
	fs.Uint64Var(&c.seed, "seed", 31, "decides which machines are old ones")
	fs.StringVar(&c.db, "db", "", planstore.Usage+"; needs -dir")
	fs.BoolVar(&c.resume, "resume", false, "continue an interrupted run with the same -db, -dir and fleet")
	fs.BoolVar(&c.verbose, "v", false, "print every event")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	switch {
	case fs.NArg() > 0:
		return c, fmt.Errorf("quickstart takes no arguments, got %q", fs.Args())
	case c.agents < 1 || c.agents > 2000:
		return c, fmt.Errorf("-agents %d: want 1 to 2000, each is a process", c.agents)
	case c.batch < 1 || c.concurrency < 1:
		return c, errors.New("-batch and -concurrency: want 1 or more")
	case c.db != "" && c.dir == "":
		return c, errors.New("-db needs -dir: where the plans stay, the agents have to")
	case c.resume && c.db == "":
		return c, errors.New("-resume needs -db: plans in memory are gone")
	}
	return c, nil
}

// run starts the fleet, runs the story, and stops the fleet, however the story ends.
func run(ctx context.Context, c config) (err error) {
	began := time.Now()
	dir := c.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "ota-quickstart-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	out := newOutput(os.Stdout, began, c.verbose)
	out.title("A fleet of %d agents", c.agents)
	out.say("Each is a process of its own on 127.0.0.1, with a folder under %s", dir)
	store, closeStore, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer closeStore()
	fleet, err := startFleet(ctx, dir, c, "1.2.0")
	if err != nil {
		return err
	}
	defer fleet.shutdown()
	s, err := newStory(c, store, fleet, out)
	if err != nil {
		return err
	}
	if err := s.tell(ctx); err != nil {
		return err
	}
	out.say("It took %.1f s. Read story.go next, then executor.go: that one is yours to write.", time.Since(began).Seconds())
	return nil
}
