package recipes_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/ascompleted/await"
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
// With a limit it is taken from the channel only when there is a place for it,
// so the senders feel it when the tasks are slow.
//
// Watch out to cancel the context when the loop is left early, as the deferred
// cancel does: it lets go of the sequence, and of the senders that still want
// to send. A value may have been received then whose task never starts: what
// must not be lost is acknowledged in the body of the loop.
func Example_channelIn() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	orders := make(chan string)
	var waiters sync.WaitGroup
	for _, dishes := range []string{"soup pasta", "salad fish ice"} { // a waiter takes them
		waiters.Go(func() {
			for dish := range strings.FieldsSeq(dishes) {
				select {
				case orders <- dish:
				case <-ctx.Done():
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
	for dish, r := range await.AsCompletedSeq(ctx, await.TaskSeq(received(ctx, orders), cook), await.Limit(3)) {
		cooked[dish] = r.Value
	}
	fmt.Println(cooked)
	// Output:
	// map[fish:hot fish ice:hot ice pasta:hot pasta salad:hot salad soup:hot soup]
}
