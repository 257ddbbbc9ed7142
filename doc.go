// Package ota carries an upgrade through a fleet.
package ota
