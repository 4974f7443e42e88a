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

// finishing makes of fn a function whose calls run to their end, once they have
// begun, even if the context ends. They get d for it.
func finishing[In, T any](d time.Duration, fn func(context.Context, In) (T, error)) func(context.Context, In) (T, error) {
	return func(ctx context.Context, in In) (T, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
		defer cancel()
		return fn(ctx, in)
	}
}

// A graceful shutdown starts no more, but finishes what runs. The first half is
// what happens anyway when the context ends (signal.NotifyContext); the second is
// context.WithoutCancel inside the task. The loop delivers the results of what
// was finished, and the rest has await.ErrNotStarted: it is left for the next
// start of the program.
//
// Watch out that now nothing else cancels such a task either: a break, or the
// first error of Gather, waits for it too. So give it a time limit. And set a
// Limit, or everything has started before the signal comes.
func TestShutdownFinishesWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		send := func(ctx context.Context, mail string) (string, error) {
			select {
			case <-time.After(time.Second):
				return mail, nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}
		ctx, signal := context.WithTimeout(t.Context(), 1500*time.Millisecond) // signal.NotifyContext
		defer signal()

		mails := []string{"a", "b", "c", "d", "e", "f"}
		var sent, left []string
		for i, r := range await.AsCompleted(ctx, await.Tasks(mails, finishing(time.Minute, send)), await.Limit(2)) {
			switch {
			case r.Err == nil:
				sent = append(sent, r.Value)
			case errors.Is(r.Err, await.ErrNotStarted):
				left = append(left, mails[i])
			}
		}
		assert.ElementsMatch(t, []string{"a", "b", "c", "d"}, sent)
		assert.Equal(t, []string{"e", "f"}, left)
	})
}
