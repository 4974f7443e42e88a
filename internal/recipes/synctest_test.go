package recipes_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Code that uses await is tested in a bubble of testing/synctest, where time
// is fake: it stands while anything runs, and jumps when all wait. So an hour
// takes no time, and times are exact: the test below is of hedged, in
// hedge_test.go.
//
// Watch out that a bubble waits for every goroutine in it, and that its clock stops
// once the test has returned. Nothing of await outlives its loop, but
// with Detach a task may: the test has to see to its end. The network is no
// part of a bubble: test with a fake of it.
func TestHedgedRequestIsRepeatedWhenLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		call := func(ctx context.Context) (string, error) {
			delay := 20 * time.Millisecond
			if calls.Add(1) == 1 {
				delay = time.Hour
			}
			select {
			case <-time.After(delay):
				return "answer after " + delay.String(), nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}

		began := time.Now()
		answer, err := hedged(t.Context(), 100*time.Millisecond, call)
		require.NoError(t, err)
		assert.Equal(t, "answer after 20ms", answer)
		assert.Equal(t, 120*time.Millisecond, time.Since(began))
	})
}
