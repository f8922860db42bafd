package pagetest

import (
	"bytes"
	"flag"
	"image"
	_ "image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

var screenshots = flag.String("screenshots", "", "write the pictures of the README into this `folder`")

// maxPicture is how many bytes a picture may have, so that the README opens
// quickly.
const maxPicture = 150 << 10

func TestScreenshots(t *testing.T) {
	t.Parallel()
	address := sharedSite(t)
	for _, shot := range []struct {
		name          string
		width, height int64
		path          string
		prepare       func(b *tab)
	}{
		{"report-light", 1180, 760, "audit/?from=2026-03-03&to=2026-03-04", nil},
		{"report-dark", 1180, 760, "audit/?from=2026-03-03&to=2026-03-04", (*tab).dark},
		{"report-narrow", 360, 720, "audit/?from=2026-03-04&to=2026-03-04&action=UPDATE_PROJECT&action=UPDATE_CLIENT", openRenamed},
		{"report-update", 1180, 660, "audit/?from=2026-03-04&to=2026-03-04&action=UPDATE_PROJECT&action=UPDATE_CLIENT&action=UPDATE_TIME_FOR_OTHER", openRenamed},
	} {
		t.Run(shot.name, func(t *testing.T) {
			b := signedIn(t, address, admin)
			b.size(shot.width, shot.height)
			require.EqualValues(t, 200, b.open(shot.path))
			if shot.prepare != nil {
				shot.prepare(b)
			}
			picture := in(b, chromedp.CaptureScreenshot())
			config, _, err := image.DecodeConfig(bytes.NewReader(picture))
			require.NoError(t, err)
			require.EqualValues(t, shot.width, config.Width)
			require.Less(t, len(picture), maxPicture)
			if *screenshots != "" {
				require.NoError(t, os.MkdirAll(*screenshots, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(*screenshots, shot.name+".png"), picture, 0o644))
			}
		})
	}
}

// openRenamed opens the update that the README tells of.
func openRenamed(b *tab) {
	b.t.Helper()
	b.click(renamed)
	eval[any](b, `document.activeElement.blur(); document.querySelector(".result").scrollIntoView()`)
}
