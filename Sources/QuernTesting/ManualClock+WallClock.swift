// SPDX-License-Identifier: Apache-2.0
import Quern

/// The scheduler's time in tests: `configuration.clock = ManualClock(now: ...)`.
extension ManualClock: WallClock {}
