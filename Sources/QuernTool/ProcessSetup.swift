// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the process asks of the system before anything else.
enum ProcessSetup {
    static func perform() {
        reserveStandardStreams()
        raiseDescriptorLimit()
        // A reader that has read enough is told by the write that fails, so that commands clean up behind themselves.
        signal(SIGPIPE, SIG_IGN)
        // So is who writes a file beyond the limit on its size, by an error with the file's name.
        signal(SIGXFSZ, SIG_IGN)
    }

    /// Opens what was closed of the three standard streams, so that no file of a store gets one of their numbers. They
    /// are opened the wrong way round: using them still fails.
    private static func reserveStandardStreams() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

    /// A store may have more files than the usual limit has descriptors.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        #if canImport(Glibc)
            limit.rlim_cur = limit.rlim_max
        #else
            limit.rlim_cur = min(limit.rlim_max, rlim_t(OPEN_MAX))
        #endif
        _ = setrlimit(resource, &limit)
    }
}
