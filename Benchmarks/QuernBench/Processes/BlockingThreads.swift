// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Threads for calls that block.
enum BlockingThreads {
    private final class Body: Sendable {
        let run: @Sendable (Int) -> Void
        let index: Int
        init(_ index: Int, _ run: @escaping @Sendable (Int) -> Void) {
            self.index = index
            self.run = run
        }
    }

    /// Runs `body` on so many threads, with their numbers, and blocks until all have ended.
    static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let threads = (0..<count).map { index in
            let argument = Unmanaged.passRetained(Body(index, body)).toOpaque()
            #if canImport(Darwin)
                var thread: pthread_t?
                let result = pthread_create(
                    &thread, nil,
                    {
                        let body = Unmanaged<Body>.fromOpaque($0).takeRetainedValue()
                        body.run(body.index)
                        return nil
                    }, argument)
            #else
                var thread = pthread_t()
                let result = pthread_create(
                    &thread, nil,
                    {
                        guard let argument = $0 else { return nil }
                        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                        body.run(body.index)
                        return nil
                    }, argument)
            #endif
            precondition(result == 0, "pthread_create failed with \(result)")
            return thread
        }
        for thread in threads {
            #if canImport(Darwin)
                if let thread { pthread_join(thread, nil) }
            #else
                pthread_join(thread, nil)
            #endif
        }
    }
}
