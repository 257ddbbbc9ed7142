package feed

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A slow reader gets each plan once, however often it changed, and no sender waits for the reader.
func TestFeedMergesAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Feed
		slow, other := f.Subscribe(t.Context()), f.Subscribe(t.Context())
		for i := range 1000 {
			f.Tell(fmt.Sprint("plan-", i%10))
			synctest.Wait() // the forwarder has at most one ID, which no reader takes
		}
		for _, out := range []<-chan string{slow, other} {
			got := map[string]int{}
			for len(out) == 0 {
				synctest.Wait()
				select {
				case id := <-out:
					got[id]++
					continue
				default:
				}
				break
			}
			require.Len(t, got, 10)
			n := 0
			for _, times := range got {
				n += times
			}
			require.LessOrEqual(t, n, 11, "ten plans, and the one that was on its way when it changed again")
		}
	})
}

func TestFeedEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Feed
		for _, told := range []bool{false, true} { // once while it waits for a change, once while it waits for its reader
			ctx, cancel := context.WithCancel(t.Context())
			out := f.Subscribe(ctx)
			if told {
				f.Tell("a")
			}
			synctest.Wait()
			cancel()
			synctest.Wait()
			_, open := <-out
			require.False(t, open)
			require.Empty(t, f.subscribers)
			require.Zero(t, f.many.Load())
		}
		f.Tell("nobody listens")
	})
}
