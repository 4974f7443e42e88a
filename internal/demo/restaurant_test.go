package main

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRestaurantBringsDishesAsTheyAreDoneAndThenAllTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assert.Equal(t, outcome{status: allHere, stdout: `Four tables order 8 dishes. Cooks in the kitchen: 3

AsCompleted: each dish is brought as soon as it is done
0.10 s  table 2: green salad
0.25 s  table 1: onion soup
0.55 s  table 2: pizza
0.60 s  table 3: pancakes
0.65 s  table 1: steak
0.70 s  table 4: coffee
0.75 s  table 4: apple pie
1.05 s  table 3: fish and chips

Gather: all dishes are brought when the last one is done
1.05 s  table 1: onion soup
1.05 s  table 1: steak
1.05 s  table 2: green salad
1.05 s  table 2: pizza
1.05 s  table 3: pancakes
1.05 s  table 3: fish and chips
1.05 s  table 4: apple pie
1.05 s  table 4: coffee

Average wait for a dish: 0.58 s with AsCompleted, 1.05 s with Gather
`}, demo(t, "", "-restaurant"))
	})
}

func TestRestaurantHasAsManyCooksAsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := demo(t, "", "-restaurant", "-limit", "1")
		assert.Equal(t, allHere, o.status)
		assert.Contains(t, o.stdout, "Cooks in the kitchen: 1\n")
		assert.Contains(t, o.stdout, "0.25 s  table 1: onion soup\n0.90 s  table 1: steak\n1.00 s  table 2: green salad\n")
		assert.Contains(t, o.stdout, "2.50 s with Gather\n")
	})
}

func TestRestaurantClosesWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := demo(t, "", "-restaurant", "-limit", "1", "-timeout", "300ms")
		assert.Equal(t, someFailed, o.status)
		assert.Contains(t, o.stdout, "onion soup")
		assert.NotContains(t, o.stdout, "steak")
		assert.Equal(t, "demo: no steak for table 1: time is up after 300ms\n", o.stderr)
	})
}

func TestRestaurantIsInterrupted(t *testing.T) {
	for _, test := range []struct {
		name   string
		after  time.Duration
		stderr string
	}{
		{"with AsCompleted", 200 * time.Millisecond, `^demo: no .* for table \d: context canceled\n$`},
		{"with Gather", 1200 * time.Millisecond, `^demo: no dish for anyone: context canceled\n$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancel(t.Context())
				time.AfterFunc(test.after, interrupt)
				var stdout, stderr bytes.Buffer
				assert.Equal(t, interrupted, run(ctx, 0, []string{"-restaurant"}, nil, &stdout, &stderr))
				assert.Regexp(t, test.stderr, stderr.String())
				assert.NotContains(t, stdout.String(), "Average")
			})
		})
	}
}
