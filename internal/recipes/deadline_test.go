package recipes_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
)

var errClosing = errors.New("no offer in time")

// offers asks all shops and takes what has arrived after a second.
//
// Detach is for tasks that ignore their context, like these: without it the call
// would wait for the slowest of them after all. With it each has a result at the
// deadline: its value, its own error, or one that matches the cause of the
// context. Watch out that what a late task uses must stay valid, and that a task
// that never returns is a goroutine that leaks.
func offers(ctx context.Context, shops []string, ask func(shop string) (int, error)) (prices map[string]int, late []string) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Second, errClosing)
	defer cancel()
	tasks := await.Tasks(shops, func(_ context.Context, shop string) (int, error) { return ask(shop) })
	prices = map[string]int{}
	for i, r := range await.Settle(ctx, tasks, await.Detach()) {
		switch {
		case r.Err == nil:
			prices[shops[i]] = r.Value
		case errors.Is(r.Err, errClosing):
			late = append(late, shops[i])
		}
	}
	return prices, late
}

func TestDeadlineKeepsWhatHasArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asleep := make(chan struct{})
		defer close(asleep) // the bubble waits for the task that was left behind
		ask := func(shop string) (int, error) {
			switch shop {
			case "Cyd":
				return 0, errors.New("sold out")
			case "Dozer":
				<-asleep
			}
			return 100, nil
		}
		began := time.Now()
		prices, late := offers(t.Context(), []string{"Ada", "Bob", "Cyd", "Dozer"}, ask)
		assert.Equal(t, map[string]int{"Ada": 100, "Bob": 100}, prices)
		assert.Equal(t, []string{"Dozer"}, late)
		assert.Equal(t, time.Second, time.Since(began))
	})
}
