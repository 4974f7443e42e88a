package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimelineShowsWhenTasksRunAndResultsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := demo(t, "", "-timeline")
		assert.Equal(t, outcome{status: allHere, stdout: `AsCompleted: each as soon as it is done (average 0.31 s)
  profile ████████████████████◆ 0.20 s
   photos ████████████████████████████████████████◆ 0.40 s
  weather ██████████◆ 0.10 s
     news ██████████████████████████████◆ 0.30 s
   prices ████████████████████████████████████████████████████████████◆ 0.60 s
   orders █████████████████████████◆ 0.25 s

InOrder: each once it and all before it are done (average 0.43 s)
  profile ████████████████████◆ 0.20 s
   photos ████████████████████████████████████████◆ 0.40 s
  weather ██████████······························◆ 0.40 s
     news ██████████████████████████████··········◆ 0.40 s
   prices ████████████████████████████████████████████████████████████◆ 0.60 s
   orders █████████████████████████···································◆ 0.60 s

Gather: all at once, after the last is done (average 0.60 s)
  profile ████████████████████········································◆ 0.60 s
   photos ████████████████████████████████████████····················◆ 0.60 s
  weather ██████████··················································◆ 0.60 s
     news ██████████████████████████████······························◆ 0.60 s
   prices ████████████████████████████████████████████████████████████◆ 0.60 s
   orders █████████████████████████···································◆ 0.60 s

          0 s                 0.2 s               0.4 s               0.6 s

          █ request runs   · result waits   ◆ your code gets it
`}, o)
	})
}

func TestTimelineShowsTasksThatWaitForTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := demo(t, "", "-timeline", "-limit", "1")
		assert.Equal(t, allHere, o.status)
		assert.Contains(t, o.stdout, `(average 0.99 s)
  profile ██████◆ 0.20 s
   photos       █████████████◆ 0.60 s
  weather                    ████◆ 0.70 s
     news                        █████████◆ 1.00 s
   prices                                 ████████████████████◆ 1.60 s
   orders                                                     ████████◆ 1.85 s
`)
		assert.Contains(t, o.stdout, `
          0 s          0.4 s        0.8 s        1.2 s        1.6 s
`)
	})
}

func TestTimelineFitsTheTerminal(t *testing.T) {
	for _, limit := range []int{0, 1, 2, 3} {
		for _, columns := range []int{30, 31, 40, 60, 80, 100, 200} {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				require.NoError(t, timeline(t.Context(), config{limit: limit}, columns, &out))
				var widest int
				for line := range strings.Lines(out.String()) {
					widest = max(widest, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
				}
				assert.LessOrEqual(t, widest, columns)
				assert.GreaterOrEqual(t, widest, columns-2, "the room is used")
				assert.NotRegexp(t, controls, out.String())
			})
		}
	}
}

func TestTimelineInANarrowTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		require.NoError(t, timeline(t.Context(), config{}, 30, &out))
		assert.True(t, strings.HasPrefix(out.String(), `AsCompleted: each as soon as
it is done (average 0.31 s)
  profile ███◆ 0.20 s
   photos ███████◆ 0.40 s
`), out.String())
		assert.True(t, strings.HasSuffix(out.String(), `
          0 s    0.4 s

          █ request runs
          · result waits
          ◆ your code gets it
`), out.String())
	})
}

func TestTimelineEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assert.Equal(t, outcome{status: someFailed, stderr: "demo: AsCompleted: time is up after 150ms\n"},
			demo(t, "", "-timeline", "-timeout", "150ms"))
		assert.Equal(t, outcome{status: someFailed, stderr: "demo: Gather: time is up after 1.7s\n"},
			demo(t, "", "-timeline", "-timeout", "1.7s"))
	})
}
