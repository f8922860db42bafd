package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheQuickStartShowsWhatItPromises(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	stdout := os.Stdout
	os.Stdout = w
	t.Cleanup(func() { os.Stdout = stdout })
	main()
	require.NoError(t, w.Close())
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	lines := strings.Split(string(out), "\n")
	require.Equal(t, `Jo updated project "Apollo": name: "Gemini" → "Apollo", budget: 100 → 500`, lines[0])
	require.Equal(t, `Jo created project "Gemini": id: 1, name: "Gemini", budget: 100`, lines[1])
	require.True(t, strings.HasPrefix(lines[2], "Time,Author,Action,Record"))
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	require.Less(t, strings.Count(string(source), "\n"), 60)
}
