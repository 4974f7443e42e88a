package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

// TestMain lets the test binary be the workers too.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-worker") || slices.Contains(os.Args, "-peer") {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestEveryJobIsDoneOnceAlthoughAWorkerIsKilled(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-workers", "3"}, {"-http", "-workers", "3"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			var stdout strings.Builder
			require.NoError(t, run(t.Context(), append(args, "-jobs", "9"), &stdout))
			for i := range 9 {
				result := regexp.MustCompile(fmt.Sprintf(`(?m)^ *\d+\.\d\d s  job %d \d.*s by worker [123]$`, i+1))
				assert.Len(t, result.FindAllString(stdout.String(), -1), 1)
			}
			assert.Regexp(t, `(?m)^ *\d+\.\d\d s  worker [123] is killed in the middle of job \d$`, stdout.String())
		})
	}
}

func TestHelpTellsEveryFlag(t *testing.T) {
	t.Parallel()
	var stdout strings.Builder
	require.NoError(t, run(t.Context(), []string{"-h"}, &stdout))
	assert.Equal(t, usage, stdout.String())
	source, err := os.ReadFile("flags.go")
	require.NoError(t, err)
	flags := regexp.MustCompile(`flags\.\w+Var\([^"]*"(\w+)"`).FindAllStringSubmatch(string(source), -1)
	require.Len(t, flags, 12)
	for _, flag := range flags {
		assert.Regexp(t, `(?m)^  -`+flag[1]+`\b`, usage)
	}
	for line := range strings.Lines(usage) {
		assert.LessOrEqual(t, len(line), 81, line)
	}
}

func TestBadUseIsToldInOneLine(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"flag provided but not defined: -fast": {"-fast"},
		`unexpected argument "more"`:           {"-jobs", "2", "more"},
	} {
		var stdout strings.Builder
		err := run(t.Context(), args, &stdout)
		require.EqualError(t, err, want+" (-h shows the help)")
		assert.Empty(t, stdout.String())
	}
}

func TestTheBenchmarkComesToItsEnd(t *testing.T) {
	t.Parallel()
	var stdout strings.Builder
	require.NoError(t, run(t.Context(), []string{"-bench", "-rounds", "1", "-jobs", "2"}, &stdout))
	rows := regexp.MustCompile(`(?m)^\| .+ \| [\d.e+]+ \| [\d.e+]+ \|$`).FindAllString(stdout.String(), -1)
	assert.Len(t, rows, 8, stdout.String())
}

func TestKeysAreMadeOnceAndNeeded(t *testing.T) {
	t.Parallel()
	dir := keys.Dir(filepath.Join(t.TempDir(), "keys"))
	makeKeys := []string{"-keys", string(dir), "-make", "queue.example,192.0.2.7"}
	require.NoError(t, run(t.Context(), makeKeys, io.Discard))
	config, err := os.ReadFile(dir.Path("server.conf"))
	require.NoError(t, err)
	assert.Contains(t, string(config), dir.Path(keys.Certificate))
	require.ErrorIs(t, run(t.Context(), makeKeys, io.Discard), fs.ErrExist)

	require.NoError(t, run(t.Context(), []string{"-keys", string(dir), "-workers", "1", "-jobs", "1"}, io.Discard))
	err = run(t.Context(), []string{"-worker", "-url", "nats://127.0.0.1:1"}, io.Discard)
	assert.EqualError(t, err, "no -keys: those of the server are needed")
}
