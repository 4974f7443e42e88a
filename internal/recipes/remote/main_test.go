package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the workers too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
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
