package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sample is a module whose tests leave something to be desired. They are in two
// packages, with helpers that are no code to mutate.
var sample = map[string]string{
	"go.mod": "module sample\n\ngo 1.25\n",
	"sample.go": `package sample

// Clamp returns n, or the nearest number from 0 to most.
func Clamp(n, most int) (m int) {
	if n > most {
		return most
	}
	m = n
	if n < 0 {
		m = 0
	}
	return m
}
`,
	"sample_test.go": `package sample

import "testing"

func TestClamp(t *testing.T) {
	if Clamp(5, 9) != 5 {
		t.Fatal("Clamp is wrong")
	}
}
`,
	"internal/proof/proof_test.go": `package proof

import (
	"os"
	"testing"

	"sample"
	"sample/internal/helper"
)

func TestClampHere(t *testing.T) {
	if _, err := os.Stat("proof_test.go"); err != nil {
		t.Fatal("the tests run elsewhere")
	}
	if sample.Clamp(10, helper.Most()) != 9 {
		t.Fatal("Clamp is wrong")
	}
}
`,
	"internal/helper/helper.go": `package helper

func Most() int { return 9 }
`,
	"internal/helper/helper_test.go": `package helper

import "testing"

func TestMost(t *testing.T) {
	if Most() != 9 {
		t.Fatal("Most is wrong")
	}
}
`,
}

// sampleEquivalent is the list for it.
const sampleEquivalent = `# Of Clamp.

sample.go Clamp
- if n > most {
+ if n >= most {
The most is the same, whoever gives it.

sample.go Clamp
- if n < 0 {
+ if n <= 0 {
Zero is zero.
`

// mutateSample runs the program on the sample.
func mutateSample(t *testing.T, equivalent string, args ...string) (clean bool, out string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range sample {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	list := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(list, []byte(equivalent), 0o600))
	var stdout bytes.Buffer
	clean, err := run(t.Context(), append([]string{"-dir", dir, "-equivalent", list, "-p", "1"}, args...), &stdout)
	require.NoError(t, err)
	for name, text := range sample {
		now, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, text, string(now), "the work tree must stay as it is")
	}
	return clean, stdout.String()
}

func TestSurvivorsAreShown(t *testing.T) {
	clean, out := mutateSample(t, sampleEquivalent)
	require.False(t, clean)
	require.Equal(t, `sample.go:9 survived
sample.go Clamp
- if n < 0 {
+ if false {

sample.go:9 survived
sample.go Clamp
- if n < 0 {
+ if n < 1 {

sample.go:10 survived
sample.go Clamp
- m = 0

sample.go:10 survived
sample.go Clamp
- m = 0
+ m = 1

11 mutants: 5 killed, 0 timed out, 2 equivalent, 4 survived; 1 more did not compile
`, out)
}

func TestATestThatHangsHasFailed(t *testing.T) {
	const out = "panic: test timed out after 10s\n\trunning tests:\n\t\tTestOuter (%s)\n\t\tTestOuter/inner (%s)\n\ngoroutine 1 [running]:\n"
	require.Equal(t, killed, how([]byte("--- FAIL: TestOuter (9s)\n"), 10*time.Second))
	require.Equal(t, killed, how(fmt.Appendf(nil, out, "4s", "4s"), 10*time.Second))
	require.Equal(t, timedOut, how(fmt.Appendf(nil, out, "3s", "0s"), 10*time.Second))
	require.Equal(t, killed, how(fmt.Appendf(nil, "--- FAIL: TestFirst (0s)\n"+out, "3s", "0s"), 10*time.Second))
	require.Equal(t, killed, how(fmt.Appendf(nil, out, "41s", "1s"), 2*time.Minute))
	require.Equal(t, killed, how([]byte("panic: test timed out after 10s\n\ngoroutine 1 [chan receive]:\ntesting.runExample({{0x1, 0x2}})\n"), 10*time.Second), "an example")
	require.Equal(t, timedOut, how([]byte("panic: test timed out after 10s\n\ngoroutine 1 [running]:\n"), 10*time.Second), "subtests in parallel")
}

func TestAnEntryThatFitsNoMutantIsShown(t *testing.T) {
	clean, out := mutateSample(t, `sample.go Clamp
- if n < 1 {
+ if true {
Nobody knows.

other.go Clamp
- if n < 1 {
+ if true {
Not in question.
`, "-file", "^sample.go$")
	require.False(t, clean)
	require.Contains(t, out, `equivalent.txt lists what is no mutant:
sample.go Clamp
- if n < 1 {
+ if true {
`)
	require.NotContains(t, out, "other.go")
}

func TestAResumedRunSkipsWhatWasKilled(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	_, first := mutateSample(t, sampleEquivalent, "-resume", record)
	before, err := os.ReadFile(record)
	require.NoError(t, err)
	_, second := mutateSample(t, sampleEquivalent, "-resume", record)
	after, err := os.ReadFile(record)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, string(before), string(after))
}

func TestAnEntryNeedsAReason(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(path, []byte("sample.go Clamp\n- return m\n\n"), 0o600))
	_, err := readEquivalent(path)
	require.ErrorContains(t, err, "not an entry with a reason:\nsample.go Clamp\n- return m")
}
