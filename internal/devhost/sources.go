package devhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/streamer-go/streamer/internal/build"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

// Sources are what the system was built from by the last Update, as far as it is
// edited here. The go command takes about a second to say so. Of source that is at
// fault it says less than there is: what was watched before is then watched as well.
func (s *System) Sources(ctx context.Context) build.Watched {
	found, err := build.Sources(ctx, append([]build.Package{{Dir: s.project.dir}}, s.built...)...)
	if err != nil { // the build has said it, or will
		found = found.And(s.sources)
	}
	s.sources = found.With(s.project.files...)
	return s.sources
}

// up runs the program, and takes note of the packages that it has built.
func (s *System) up(ctx context.Context) (deploy.Result, error) {
	list, err := os.CreateTemp("", "streamer-build-list-")
	if err != nil {
		return deploy.Result{}, fmt.Errorf("start %s: %w", s.project.name, err)
	}
	defer func() { _ = os.Remove(list.Name()) }() // at worst a temporary file stays
	list.Close()
	program := s.program
	program.Env = append(slices.Clip(program.Env), contract.EnvBuildList+"="+list.Name())
	result, err := s.deployer.Up(ctx, program)
	built, lerr := build.Noted(list.Name())
	if err == nil { // one that failed may have ended before it built all
		s.built = nil
	}
	for _, p := range built {
		if !slices.Contains(s.built, p) {
			s.built = append(s.built, p)
		}
	}
	return result, errors.Join(err, lerr)
}
