package recipes_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// received yields what comes through the channel, until that is closed or the
// context ends.
func received[T any](ctx context.Context, ch <-chan T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			select {
			case v, open := <-ch:
				if !open || !yield(v) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// Work that comes through a channel, from however many senders, is a sequence.
// With a limit it is taken from the channel only when a task can start, so slow
// tasks slow the senders down (backpressure).
//
// Watch out that a break waits for the sequence, which waits for the channel:
// OnCancel(cancel) wakes it, and the senders that still want to send. A value may
// have been received then whose task never starts, so acknowledge what must not
// be lost in the body of the loop. A sequence that ends with its context looks
// complete: if ctx can end, look at ctx.Err() after the loop.
func Example_channelIn() {
	ctx := context.Background()
	open, cancel := context.WithCancel(ctx)
	defer cancel()
	orders := make(chan string)
	var waiters sync.WaitGroup
	for _, dishes := range []string{"soup pasta", "salad fish ice"} { // a waiter takes them
		waiters.Go(func() {
			for dish := range strings.FieldsSeq(dishes) {
				select {
				case orders <- dish:
				case <-open.Done():
					return
				}
			}
		})
	}
	go func() {
		waiters.Wait()
		close(orders)
	}()

	cook := func(_ context.Context, dish string) (string, error) { return "hot " + dish, nil }
	cooked := map[string]string{}
	dishes := await.TaskSeq(received(open, orders), cook)
	for dish, r := range await.AsCompletedSeq(ctx, dishes, await.Limit(3), await.OnCancel(cancel)) {
		cooked[dish] = r.Value
	}
	fmt.Println(cooked)
	// Output:
	// map[fish:hot fish ice:hot ice pasta:hot pasta salad:hot salad soup:hot soup]
}

func TestTwoStagesOverAChannelAreLeftAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		open, cancel := context.WithCancel(ctx)
		defer cancel()
		orders := make(chan string)
		var waiter sync.WaitGroup
		waiter.Go(func() { // it never closes the channel
			for _, dish := range []string{"soup", "fish"} {
				select {
				case orders <- dish:
				case <-open.Done():
					return
				}
			}
		})
		chop := func(ctx context.Context, dish string) (string, error) {
			if dish == "fish" { // hangs
				<-ctx.Done()
				return "", context.Cause(ctx)
			}
			return "chopped " + dish, nil
		}
		cook := func(_ context.Context, dish passed[string, string]) (string, error) { return "hot " + dish.Value, nil }

		began := time.Now()
		chopped := await.AsCompletedSeq(open, await.TaskSeq(received(open, orders), chop), await.Limit(3))
		for dish, r := range await.AsCompletedSeq(ctx, await.TaskSeq2(next(chopped), cook), await.Limit(2), await.OnCancel(cancel)) {
			require.NoError(t, r.Err)
			assert.Equal(t, "soup", dish.Key)
			assert.Equal(t, "hot chopped soup", r.Value)
			break
		}
		waiter.Wait()
		assert.Zero(t, time.Since(began))
	})
}
