package lambda

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// ArchitectureError is a binary that this machine cannot run, or that is not
// what its function declares.
type ArchitectureError struct {
	Path         string
	Binary, Want string // linux/arm64
	// Declared is true when Want is what the function declares, false when it
	// is this machine.
	Declared bool
}

func (e *ArchitectureError) Error() string {
	if e.Declared {
		return fmt.Sprintf("%s is built for %s, but the function declares %s", e.Path, e.Binary, e.Want)
	}
	return fmt.Sprintf("%s is built for %s, this machine is %s: build it for %s (the component does with STREAMER_BUILD_ARCH=%s)", e.Path, e.Binary, e.Want, e.Want, runtime.GOARCH)
}

// checkBinary reads the header of a bootstrap. What is neither ELF nor Mach-O,
// such as a script, and what is missing, is left to the start to judge.
func checkBinary(path, declared string) error {
	system, arch, err := binaryMachine(path)
	if err != nil || system == "" {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	want := map[string]string{"arm64": "arm64", "x86_64": "amd64"}[declared]
	if want != "" && want != arch {
		return &ArchitectureError{Path: path, Binary: system + "/" + arch, Want: system + "/" + want, Declared: true}
	}
	if system != runtime.GOOS || arch != runtime.GOARCH {
		return &ArchitectureError{Path: path, Binary: system + "/" + arch, Want: runtime.GOOS + "/" + runtime.GOARCH}
	}
	return nil
}

// binaryMachine returns for which system and machine a binary is; "" for a
// file of another kind.
func binaryMachine(path string) (system, arch string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	var magic [4]byte
	if n, _ := f.ReadAt(magic[:], 0); n < len(magic) {
		return "", "", nil
	}
	switch {
	case string(magic[:]) == elf.ELFMAG:
		b, err := elf.NewFile(f)
		if err != nil {
			return "", "", fmt.Errorf("read header of %s: %w", path, err)
		}
		return "linux", elfMachine(b.Machine), nil
	case magic[0] == 0xcf && magic[1] == 0xfa && magic[2] == 0xed && magic[3] == 0xfe:
		b, err := macho.NewFile(f)
		if err != nil {
			return "", "", fmt.Errorf("read header of %s: %w", path, err)
		}
		return "darwin", machoMachine(b.Cpu), nil
	}
	return "", "", nil
}

func elfMachine(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	}
	return m.String()
}

func machoMachine(c macho.Cpu) string {
	switch c {
	case macho.CpuAmd64:
		return "amd64"
	case macho.CpuArm64:
		return "arm64"
	}
	return c.String()
}
