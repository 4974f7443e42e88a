// Package proof checks the contract of package await beyond its unit tests. It
// has only tests.
//
// # What is checked
//
// A scenario is one call of any kind with random options, tasks, loop body,
// sequence, cancellation and functions of OnCancel and OnDiscard, each with its
// durations. An oracle predicts from the contract alone what happens in it:
// which task starts when, which result the loop gets when, what is discarded,
// and how and when the call ends. Then the scenario runs with the library in a
// [testing/synctest] bubble. Everything has to happen as predicted, at the very
// nanosecond. A scenario that goes otherwise is reduced to the smallest one
// that still does.
//
//   - TestScenarios: random scenarios.
//   - TestFaults, TestDeafTask: scenarios in which something goes wrong at every
//     possible point, also in the same instant as something else.
//   - FuzzScenario, TestCorpus: scenarios chosen by coverage, and the ones that
//     the fuzzer starts from.
//   - TestNest: random nests of calls within one limiter.
//   - TestScheduler: scenarios on the real scheduler, where nothing can be
//     predicted but some things must never happen.
//   - TestBusyCores: a loop over a sequence where other goroutines compute on
//     every core.
//   - TestSoak: calls of every kind at once, nested, for a while. No value is
//     lost, no memory and no goroutine stays.
//   - TestLeak: the runtime finds no goroutine that is blocked forever. It needs
//     Go 1.27, or an experiment of Go 1.26.
//   - TestOracle: the oracle does not contradict itself.
//
// # Every schedule
//
// TestExplore, under the build tag explore, runs small calls of the engine
// itself in every order of their steps with at most so many preemptions, and
// checks the contract at each step and at the end: each task has one result,
// limit and buffer are exact, tasks that wait for each other run at once,
// nothing runs afterwards, nothing waits forever. Package explorer says how. It
// takes the place of locks, atomics, contexts and goroutines, so it cannot see
// data races. TestMutants breaks the engine in some eighty ways, each of which
// TestExplore has to find.
//
//	go test -tags explore ./internal/proof
//	go test -tags explore ./internal/proof -v -bound 3 -within 1m -timeout 0
//	go test -tags explore ./internal/proof -v -run 'Explore/Queue/one$' -replay 12:1,31:2
//	go test -tags explore ./internal/proof -v -run Mutants -mutants -bound 2 -timeout 0
//
// The first takes some seconds and allows one preemption. The second allows up
// to three, for a minute in each scenario. It cuts a schedule short where the
// same steps have led before, unless told -hash=false. The third runs a schedule
// that has failed again, from the list that was printed, and prints its steps.
//
// # How to run more of it
//
// From the root of the repository:
//
//	go test ./internal/proof -run Scenarios -scenarios 200000
//	go test ./internal/proof -run Scenarios -seed 684 -v
//	go test ./internal/proof -run '^$' -fuzz Scenario -fuzztime 5m
//	go test ./internal/proof -race -cpu 1,2,8 -run Scheduler -scenarios 100000
//	go test ./internal/proof -run Soak -soak 10m -timeout 20m -v
//	GOEXPERIMENT=goroutineleakprofile go test ./internal/proof -run Leak
//
// If the generator of scenarios changes, delete the files of the corpus that
// TestCorpus no longer accepts, and let it find others:
//
//	go test ./internal/proof -run Corpus -corpus
package proof
