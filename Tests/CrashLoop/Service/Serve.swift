// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Logging
import Quern
import QuernStore
import SystemPackage

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The process that is killed: a scheduler at full load, which tells of everything that it was told.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Be the service that is killed.", shouldDisplay: false)

    /// What a store that cannot go on ends the service with.
    static let failed: Int32 = 3

    @Argument var store: String
    @Option(help: "The number of the first task; each has the next one.")
    var firstNumber: UInt64 = 1
    @Option(help: "What retention leaves of the ended root tasks; 0 for all.")
    var keep = 0
    @Flag(help: "Commits survive the process, and need not survive the system.")
    var buffered = false
    @Flag(help: "Drop trees that ended.")
    var drops = false
    @Flag(help: "Submit nothing, and end when all that is there has ended.")
    var drain = false

    func run() async throws {
        do {
            try await serve()
        } catch let error as SchedulerError {
            AcknowledgementPipe.write(.failed(error.cause?.description ?? error.description))
            throw ExitCode(Self.failed)
        }
    }

    private var configuration: TaskScheduler.Configuration {
        var configuration = TaskScheduler.Configuration()
        // Kills are not the fault of the tasks that run then.
        configuration.crashLimit = nil
        configuration.logger = Logger(label: "crashloop") { _ in SwiftLogNoOpLogHandler() }
        configuration.store.durability = buffered ? .buffered : .synced
        // Small, so that all that is done now and then is done in a moment's life.
        configuration.store.checkpointBytes = 192 << 10
        configuration.store.logSegmentBytes = 1 << 20
        configuration.store.indexSegmentBytes = 512 << 10
        configuration.store.openBlockBytes = 1 << 20
        configuration.store.logReserveBytes = 64 << 10
        configuration.store.reserveBytes = 256 << 10
        configuration.store.compactionBytesPerSecond = 32 << 20
        if keep > 0 {
            let clock = configuration.clock
            configuration.store.retention = MemoStore.Retention(RetentionPolicy(count: keep)) { clock.now }
        }
        return configuration
    }

    private func serve() async throws {
        let configuration = configuration
        let memoStore: MemoStore
        do { memoStore = try await MemoStore.open(at: FilePath(store), configuration: configuration.store) } catch {
            AcknowledgementPipe.write(.failed(error.description))
            throw ExitCode(Self.failed)
        }
        let scheduler = try await TaskScheduler(store: memoStore, configuration: configuration) { $0.registerLoad() }
        AcknowledgementPipe.write(.opened)
        let load = Load(scheduler: scheduler, store: memoStore, firstNumber: firstNumber, drops: drops)
        async let service: Void = scheduler.run()
        if drain { try await load.awaitUnfinished() } else { try await load.run() }
        scheduler.triggerGracefulShutdown()
        try await service
    }
}
