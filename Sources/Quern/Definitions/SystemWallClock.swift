// SPDX-License-Identifier: Apache-2.0
public import QuernStore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The system's clock. When somebody sets it, sleepers notice within a minute.
public struct SystemWallClock: WallClock {
    public init() {}

    public var now: Timestamp {
        var time = timespec()
        _ = clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    public func sleep(until deadline: Timestamp) async throws {
        var last = now
        while true {
            let now = now
            if now < last { return }
            last = now
            let (remaining, overflow) = deadline.rawValue.subtractingReportingOverflow(now.rawValue)
            if !overflow, remaining <= 0 { return }
            try await Task.sleep(for: .milliseconds(overflow ? 60_000 : min(remaining, 60_000)))
        }
    }
}
