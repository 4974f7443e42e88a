//go:build !explore

package proof_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const corpusDir = "testdata/fuzz/FuzzScenario"

var writeCorpus = flag.Bool("corpus", false, "write the files of the fuzzer's corpus that are missing")

// corpus has the scenarios from which the fuzzer starts, each with what makes it
// one: text that its description and its prediction have.
var corpus = map[string]string{
	"break_waits_for_what_runs":                        `^AsCompleted of .* leaves with result \d: succeeds.* gives up; its context: "stopped"\n\S+ the call ends`,
	"buffer_holds_tasks_back":                          `^AsCompleted of .* Limit\(2\), Buffer\(1\).*task 3 succeeds; its context: ""\n\S+ result 1.*task 4 starts`,
	"context_ends_and_the_rest_is_not_started":         `^AsCompleted of .* gives up; its context: "the caller".*not started`,
	"deadline_with_a_cause":                            `^AsCompleted of .* by a deadline.* gives up; its context: "the caller".*not started`,
	"detach_discards_late_values":                      `^AsCompleted of .* Detach, OnDiscard.* the call ends.* value \d+ is discarded`,
	"detach_panic_at_once":                             ` Detach.* the call raises panic .* succeeds; its context: "panic`,
	"detach_when_the_context_ends":                     `^InOrder of .* Detach.*left behind.*not started.* the call ends.* succeeds; its context: "the caller"`,
	"discard_in_finish_order":                          `^InOrder of .*OnDiscard.* discard 0: value 103.* discard 1: value 102`,
	"discard_what_a_gather_that_panics_had":            `^Gather of .*OnDiscard.* panics; .* discard 0: value 100.* the call raises panic of`,
	"gather_first_error_stops_the_others":              `^Gather of .* the call returns \[100 0 .* 0\] "task 1: `,
	"gather_with_detach_starts_nothing_after_an_error": `^Gather of .* Detach.* the call returns \[100 0 0 0\] "task 1: boom-1".* task 2 succeeds`,
	"goexit_costs_no_place":                            `^AsCompleted of .* Limit\(1\).* task 0 calls Goexit; .* task 1 starts`,
	"in_order_sequence_behind_a_slow_head":             `^InOrderSeq of .*\n1h\S+ result 0.*\n1h\S+ result 1`,
	"on_cancel_holds_up_the_end":                       `^AsCompleted of .*OnCancel 0 succeeds after [1-9].* result 0.* OnCancel 0 is called\n\S+ the call ends`,
	"on_cancel_panics_and_so_does_the_body":            `OnCancel 0 panics.* the call raises boom-body`,
	"on_cancel_wakes_a_step":                           `^AsCompletedSeq of .*the body leaves.*OnCancel wakes.* step 1\n.* OnCancel 0 is called\n\S+ the call ends\n\S+ the sequence has ended`,
	"panic_ahead_of_results_that_wait":                 `^AsCompleted of .* result 0.* task 5 succeeds.* panics; .* the call raises panic of 6`,
	"panic_beside_the_bodys_own":                       `the body leaves with result \d: panics.* panics; its context: "stopped".* the call raises panic of`,
	"panic_waits_for_the_siblings":                     ` task 0 panics; .* gives up; its context: "panic of 0.* the call ends.* along with \[boom-2\]`,
	"pull2_and_goexit_of_the_body":                     ` through Pull2.* leaves with result \d: calls Goexit.* the call's goroutine exits`,
	"queue_detach_counts_as_yielded":                   `^Queue of .* Detach.* the call ends; queued: 0\n.* succeeds; its context: "stopped".* left in the queue: \[\]`,
	"queue_grows":                                      `^Queue of .* added by the body.* added at.* added by task.* result 6`,
	"queue_left_early_keeps_the_rest":                  `^Queue of .* the call ends; queued: [1-9].* left in the queue: \[.*value:[1-9].* value:0`,
	"queue_panic_is_the_result_of_its_add":             `^Queue of .* task 0 panics; .* the call raises panic of 0.* left in the queue: \[\{key:1 value:101 err:\}`,
	"queue_second_loop_begins_with_what_had_started":   `^Queue of .* two loops.* succeeds; its context: "stopped".* the call ends; queued: [1-9]\n.* starts`,
	"sequence_and_a_context_that_has_ended":            `^AsCompletedSeq of .* ends at 0s.* result 0: \{key:0 value:0 err:not started`,
	"sequence_breaks_among_running_tasks":              `^InOrderSeq of .* breaks in step 2: panics.* gives up; its context: "panic of <nil>: boom-step"`,
	"sequence_calls_goexit":                            ` breaks in step 2: calls Goexit.* the call raises panic of <nil>: Goexit`,
	"sequence_cut_short_in_a_step":                     `^AsCompletedSeq of .* step 1\n.* OnCancel 0 is called\n\S+ result 1: \{key:1 value:0 err:not started`,
	"sequence_cut_short_in_yield":                      `^AsCompletedSeq of [3-9] tasks, Limit\(1\).* result 1: \{key:1 value:0 err:not started.* task 0 succeeds; its context: "the caller"`,
	"sequence_goes_on_after_false":                     ` the call raises panic of <nil>: continued after yield`,
	"sequence_is_not_asked_with_detach":                `^AsCompletedSeq of .* Detach.* ends at 0s.*\n0s the call ends\n$`,
	"sequence_left_behind_in_a_step":                   `^AsCompletedSeq of .* Detach.* the call ends\n\S+ the tasks' context has ended: "stopped"\n\S+ the sequence has ended`,
	"sequence_left_in_a_step":                          `^AsCompletedSeq of [^D]*\n.*the body leaves .* step 3\n.* the call ends\n\S+ the sequence has ended`,
	"sequence_left_in_yield_with_detach":               `^AsCompletedSeq of .* Detach.*the body leaves .* cleans up for .* the call ends\n\S+ the sequence has ended\n`,
	"sequence_one_task_ahead_within_a_limiter":         `^AsCompletedSeq of .* Within a limiter of 1.* step 1\n0s task 0 starts`,
	"sequence_panics_when_it_cleans_up":                `^InOrderSeq of .* the call raises panic of <nil>: boom-cleanup`,
	"settle_three_states":                              `^Settle of .* the call returns .*value:100 err:\}.*err:boom.*not started`,
}

// Each file of the corpus is still what its name says.
func TestCorpus(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(corpus)) {
		is := regexp.MustCompile("(?s)" + corpus[name])
		file := filepath.Join(corpusDir, name)
		matches := func(c choices) bool {
			s := scenarioOf(name, c)
			return is.MatchString(fmt.Sprintf("%v\n%v", s, &s.predict().history))
		}
		if _, err := os.Stat(file); os.IsNotExist(err) && *writeCorpus {
			c := choicesOf(0)
			for seed := 0; !matches(c); seed++ {
				require.Less(t, seed, 200_000, name)
				c = choicesOf(seed)
			}
			text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", c.shrunk(matches))
			require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
		}
		require.True(t, matches(readCorpus(t, file)), name)
	}
	files, err := os.ReadDir(corpusDir)
	require.NoError(t, err)
	for _, file := range files {
		require.Contains(t, corpus, file.Name())
	}
}

// readCorpus reads a file of the corpus.
func readCorpus(t *testing.T, file string) choices {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, quoted, _ := strings.Cut(strings.TrimSpace(string(text)), "[]byte(")
	data, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
	require.NoError(t, err)
	return choices(data)
}
