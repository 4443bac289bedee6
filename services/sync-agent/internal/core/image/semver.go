package image

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// within reports whether a tag is a version that a constraint takes. Without a constraint every release is taken.
//
// A prerelease is taken where the constraint takes the release that it leads to, or names a prerelease of it: the
// library opens both ends of a range when one of them has a prerelease, and then lets 2.0.0-rc1 into <2.0.0.
func within(constraint, tag string) bool {
	v, err := semver.NewVersion(tag)
	if err != nil {
		return false
	}
	if constraint == "" {
		return v.Prerelease() == ""
	}
	c, err := semver.NewConstraint(constraint)
	if err != nil || !c.Check(v) {
		return false
	}
	if v.Prerelease() == "" {
		return true
	}
	release := fmt.Sprintf("%d.%d.%d", v.Major(), v.Minor(), v.Patch())
	core, err := semver.NewVersion(release)
	return err == nil && (c.Check(core) || strings.Contains(constraint, release+"-"))
}

// newer reports whether next is a higher version than old, or old is none.
func newer(old, next string) bool {
	a, errA := semver.NewVersion(old)
	b, errB := semver.NewVersion(next)
	return errB == nil && (errA != nil || b.GreaterThan(a))
}

// checkConstraint says what is wrong with a version range.
func checkConstraint(text string) error {
	if text == "" {
		return nil
	}
	if _, err := semver.NewConstraint(text); err != nil {
		return fmt.Errorf("%q is no version range: %w", text, err)
	}
	return nil
}
