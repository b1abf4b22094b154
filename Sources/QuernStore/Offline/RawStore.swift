// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// The files of a store's directory, and whose they are: where every offline tool begins.
package struct RawStore: Sendable {
    package let directory: FilePath
    package let fileSystem: any FileSystem
    /// Files of a store's kinds by their names: the manifest, then by kind and number.
    package let files: [RawFile]
    /// All other names.
    package let others: [String]
    /// That of the manifest, and where it tells none, that of most files.
    let identity: StoreIdentity

    /// - Throws: ``StoreError/Code/notFound`` or ``StoreError/Code/notAStore`` where there is no file of a store whose
    ///   header says whose it is, or a store whose making was cut short, by an opening or by a tool;
    ///   ``StoreError/Code/unsupportedVersion`` when that of a later version is all there is;
    ///   ``StoreError/Code/inputOutput``.
    package init(at directory: FilePath, fileSystem: any FileSystem = PosixFileSystem()) throws(StoreError) {
        let names: [String]
        do throws(FileError) { names = try fileSystem.list(directory) } catch {
            throw StoreError("cannot read the directory", opening: directory, error)
        }
        var files: [RawFile] = []
        var others: [String] = []
        for name in names {
            guard name == StoreFiles.manifestName || Self.isFile(name) else {
                others.append(name)
                continue
            }
            do throws(FileError) { files.append(try RawFile(name, in: directory, fileSystem)) } catch {
                // Its writer removed it meanwhile.
                if error.errno == .noSuchFileOrDirectory { continue }
                // Nothing is wrong with the file, and all of them are to be open.
                if error.isOutOfResources { throw StoreError("cannot open a file of the store", error) }
                // The others may tell enough.
                files.append(RawFile(unreadable: name, error))
            }
        }
        try UnfinishedStore.refuse(in: directory, fileSystem)
        try Self.refuseInterruptedCreation(files, in: directory)
        files.sort { ($0.order, $0.number) < ($1.order, $1.number) }
        self.directory = directory
        self.fileSystem = fileSystem
        self.files = files
        self.others = others.sorted()
        identity = try Self.identity(of: files, in: directory)
    }

    /// Whether a store may have a file of this name: a segment's number is never so high that no frame can say it.
    private static func isFile(_ name: String) -> Bool {
        guard let (kind, number) = StoreFiles.parse(name) else { return false }
        return kind == .checkpoint || kind == .mirror || number <= UInt64(UInt32.max)
    }

    /// What the files take, in bytes.
    package var bytes: Int { files.reduce(0) { $0 + $1.size } }

    /// The files of a kind in the order of their numbers.
    package func files(_ kind: RawFile.Kind) -> [RawFile] { files.filter { $0.kind == kind } }

    package func file(_ kind: RawFile.Kind, _ number: UInt64) -> RawFile? {
        files.first { $0.kind == kind && $0.number == number }
    }

    var manifestFile: RawFile? { files.first { $0.kind == .manifest } }

    private static func refuseInterruptedCreation(
        _ files: [RawFile], in directory: FilePath
    ) throws(StoreError) {
        let isAll = files.allSatisfy { file in
            guard file.obstacle == nil, let (kind, number) = StoreFiles.parse(file.name) else { return false }
            return InterruptedCreation.leaves(kind, number, size: file.size)
        }
        guard isAll, !files.isEmpty else { return }
        throw StoreError(
            .notFound,
            "the creation of a store was cut short here, before anything was in it: the next opening creates it",
            file: directory)
    }

    private static func identity(of files: [RawFile], in directory: FilePath) throws(StoreError) -> StoreIdentity {
        var votes: [(identity: StoreIdentity, count: Int)] = []
        for file in files {
            guard case .success(let header) = file.header else { continue }
            if file.kind == .manifest { return header.identity }
            if let index = votes.firstIndex(where: { $0.identity == header.identity }) {
                votes[index].count += 1
            } else {
                votes.append((header.identity, 1))
            }
        }
        if let best = votes.max(by: { $0.count < $1.count }) { return best.identity }
        guard let first = files.first else {
            throw StoreError(.notFound, "there is no store in this directory", file: directory)
        }
        let path = directory.appending(first.name)
        try StoreLoader.wrappingHeader(path) { () throws(FileHeader.Failure) in _ = try first.header.get() }
        throw StoreError(.notAStore, "no file of a store", file: directory)
    }
}

extension RawFile {
    fileprivate var order: Int {
        switch kind {
        case .manifest: 0
        case .checkpoint: 1
        case .mirror: 2
        case .log: 3
        case .index: 4
        case nil: 5
        }
    }

    /// What its header says, when that is what its name and the store say, and else what is wrong with it.
    func checkedHeader(of identity: StoreIdentity) throws(DecodingFailure) -> FileHeader {
        switch header {
        case .success(let header):
            guard header.identity == identity else { throw DecodingFailure("the file belongs to another store") }
            guard kind?.headerKind == header.kind, kind == .manifest || header.number == number else {
                throw DecodingFailure("the header is that of \(header.kind) \(header.number)")
            }
            return header
        case .failure(.notAStore): throw DecodingFailure("no magic number in the file header")
        case .failure(.damaged(let reason)), .failure(.unsupported(let reason)): throw DecodingFailure(reason)
        }
    }
}
