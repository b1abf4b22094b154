// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Where the figures come from: without it they say little.
enum Machine {
    static var description: String {
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        var load = [0.0]
        getloadavg(&load, 1)
        let place = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        return "\(processors) processors, load \(load[0].text) at the start, stores under \(place)"
    }
}
